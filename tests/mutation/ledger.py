"""What was found so far, a line of JSON for each mutant, so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from tests.mutation.attempt import Result, Simulated, Verdict


class Ledger:
    """The last result of each mutant. Several threads may add."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self.results = {one.key: one for one in self._read()}

    def _read(self) -> Iterator[Result]:
        if not self._path.exists():
            return
        for line in self._path.read_text("utf-8").splitlines():
            try:
                values = json.loads(line)
            except ValueError:
                continue  # the end of an interrupted run
            verdict, simulated = Verdict(values.pop("verdict")), Simulated(values.pop("simulated"))
            yield Result(**values, verdict=verdict, simulated=simulated)

    def add(self, result: Result) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
            self.results[result.key] = result

"""Runs cells round by round, each in a process of its own.

The process and everything that it started are killed when its time is over.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from benchmarks.cells import Cell
from benchmarks.services import ROOT
from multi_agent.embedded.child import ChildProcess

_MARK: Final = "BENCHMARK_CELL"
_TRIES: Final = 2
"""A cell that failed so often and never succeeded is not tried again."""


@dataclass(slots=True)
class Result:
    """The rounds of a cell."""

    cell: Cell

    samples: list[dict[str, float]] = field(default_factory=list)
    """The figures of each round that succeeded."""

    failures: list[str] = field(default_factory=list)
    """The reason of each round that failed."""

    @property
    def given_up(self) -> bool:
        """Whether to skip further rounds, because the cell only fails."""
        return not self.samples and len(self.failures) >= _TRIES

    def median(self, name: str = "value") -> float | None:
        """Return the median of a figure over all rounds; None when there is no round with it."""
        found = self.all(name)
        return statistics.median(found) if found else None

    def all(self, name: str = "value") -> list[float]:
        """Return a figure of every round that has it."""
        return [sample[name] for sample in self.samples if name in sample]


def measure(
    cells: Sequence[Cell], rounds: int, say: Callable[[str], None], scratch: Path | None
) -> list[Result]:
    """Run every cell `rounds` times. Each round runs the systems of a case in another order."""
    results = [Result(cell) for cell in cells]
    for number in range(rounds):
        for result in _order(results, number):
            if result.given_up or number >= (result.cell.rounds or rounds):
                continue
            began = time.monotonic()
            answer = run_cell(result.cell, scratch)
            if "failed" in answer:
                result.failures.append(answer["failed"])
                shown = f"FAILED: {answer['failed'].splitlines()[0][:120]}"
            else:
                result.samples.append(answer)
                shown = f"{answer['value']:,.4g} {result.cell.unit}"
            cell, took = result.cell, time.monotonic() - began
            what = f"{cell.suite}: {cell.case}: {cell.system}"
            say(f"round {number + 1}/{rounds}  {what}: {shown}  [{took:.1f} s]")
    return results


def _order(results: Sequence[Result], number: int) -> Iterator[Result]:
    for _, group in groupby(results, key=lambda result: (result.cell.suite, result.cell.case)):
        case = list(group)
        turn = number % len(case)
        yield from (*case[turn:], *case[:turn])


def run_cell(cell: Cell, scratch: Path | None = None) -> dict[str, Any]:
    """Run a cell once; return what its job returned, or the reason under the key `failed`."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=scratch))
    mark = uuid.uuid4().hex
    try:
        job, answer = folder / "job.json", folder / "answer.json"
        (folder / "work").mkdir()
        job.write_text(json.dumps({**cell.job, "folder": str(folder / "work")}), "utf-8")
        command = [sys.executable, "-m", "benchmarks.run_job", str(job), str(answer)]
        child = ChildProcess(command, log=folder / "log", env=_environment(folder, mark))
        child.start()
        deadline = time.monotonic() + cell.seconds
        while child.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        in_time = not child.alive
        child.kill()
        if answer.exists():
            found: dict[str, Any] = json.loads(answer.read_text("utf-8"))
            return found
        end = (folder / "log").read_text("utf-8", "replace")[-500:]
        return {"failed": f"ended without an answer: {end}" if in_time else f"not within {cell.seconds:g} s"}
    finally:
        _end_marked(mark)
        shutil.rmtree(folder, ignore_errors=True)


def _environment(folder: Path, mark: str) -> dict[str, str]:
    """Return an environment without the caller's settings, with a mark to find the processes of the cell."""
    home = folder / "home"
    home.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return {
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        _MARK: mark,
    }


def _end_marked(mark: str) -> None:
    """Kill the processes that a cell left behind. Only these have its mark in their environment."""
    wanted = f"{_MARK}={mark}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                os.kill(int(place.name), signal.SIGKILL)

"""The logs of the processes that serve a data folder, as one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line."""

    source: str
    """The file's name without its suffix, such as worker-1."""
    fields: Mapping[str, Any]
    """As it was logged; a line that is no JSON, such as one of Redis, is the event alone."""

    @property
    def at(self) -> str:
        """When, as ISO 8601 in UTC; "" where the line does not say."""
        return str(self.fields.get("timestamp", ""))

    def is_about(self, workflow_id: str) -> bool:
        """Whether it names the workflow."""
        return workflow_id == self.fields.get("workflow_id") or workflow_id in str(self.fields.get("event"))


@dataclass(slots=True)
class LogFiles:
    """The files of a folder, and how far each was read."""

    folder: Path
    _read: dict[Path, int] = field(default_factory=dict)

    def new_lines(self) -> list[LogLine]:
        """What was added since the last call, at first everything, in the order in which it happened."""
        found = [line for path in sorted(self.folder.glob("*.log")) for line in self._lines(path)]
        return sorted(found, key=lambda line: line.at)

    def _lines(self, path: Path) -> Iterator[LogLine]:
        begin = self._read.get(path, 0)
        if path.stat().st_size < begin:
            begin = 0  # it was begun anew
        with path.open("rb") as file:
            file.seek(begin)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read[path] = begin + len(whole)
        last = ""
        for raw in whole.splitlines():
            fields = _fields(raw.decode(errors="replace"))
            # What has no time of its own, as a line of a traceback, stays behind the line before.
            last = str(fields.setdefault("timestamp", last))
            yield LogLine(path.stem, fields)


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"event": text}
    return found if isinstance(found, dict) else {"event": text}

"""The logs of the processes that serve a data folder, as one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

EARLIER: Final = ".1"
"""Ends the name of what was set aside of a log that grew large; see log_rotation."""


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
    _aside: dict[Path, int | None] = field(default_factory=dict)
    """By log the number of the file that holds what was set aside last."""

    def new_lines(self) -> list[LogLine]:
        """What was added since the last call, at first everything, in the order in which it happened."""
        found = [line for path in sorted(self.folder.glob("*.log")) for line in self._all_lines(path)]
        return sorted(found, key=lambda line: line.at)

    def _all_lines(self, path: Path) -> Iterator[LogLine]:
        """Also those that were set aside before they were read."""
        earlier = path.with_name(path.name + EARLIER)
        made = earlier.stat().st_ino if earlier.exists() else None
        if made not in {None, self._aside.get(path)}:
            self._read[earlier], self._read[path] = self._read.get(path, 0), 0
            yield from self._lines(earlier, path.stem)
        self._aside[path] = made
        yield from self._lines(path, path.stem)

    def _lines(self, path: Path, source: str) -> Iterator[LogLine]:
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
            yield LogLine(source, fields)


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"event": text}
    return found if isinstance(found, dict) else {"event": text}

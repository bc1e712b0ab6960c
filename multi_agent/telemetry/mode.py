"""How much processes log, switched while they run: by a file in the data folder that they look at."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import structlog

CRASH_SECONDS: Final = 300.0
"""How long everything is logged after a crash."""
_FILE: Final = "observe.json"
_LOOK_SECONDS: Final = 0.5
_CRASHES: Final = frozenset({"agent_crashed", "process_died", "slot_ended"})
"""Events of logs that tell of one."""
_DEBUG: Final = "debug"


@dataclass(frozen=True, slots=True)
class Debugging:
    """Everything is logged until then."""

    until: float
    """In seconds since 1970."""
    workflow_id: str | None = None
    """Only what is about this one; None for all."""
    why: str = ""

    def covers(self, workflow_id: object, now: float) -> bool:
        """Whether what is about that workflow, None for what is about none, is logged in full."""
        return now < self.until and self.workflow_id in {None, workflow_id}


def read_debugging(folder: Path) -> Debugging | None:
    """What holds in a data folder, None for nothing; also where the file cannot be read."""
    with suppress(OSError, ValueError, TypeError):
        found = Debugging(**json.loads((folder / _FILE).read_text("utf-8")))
        return found if found.until > time.time() else None
    return None


def write_debugging(folder: Path, debugging: Debugging | None) -> None:
    """Let it hold for all processes of the folder within a second. Raises OSError."""
    if debugging is None:
        (folder / _FILE).unlink(missing_ok=True)
        return
    part = folder / f"{_FILE}.{time.monotonic_ns()}.part"
    part.write_text(json.dumps(asdict(debugging)), "utf-8")
    part.replace(folder / _FILE)


class ModeFilter:
    """A processor of structlog that drops what is below the level, unless everything is logged.

    What tells of a crash turns that on for five minutes, for its workflow where it names one.
    """

    def __init__(self, folder: Path, level: int, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._level, self._clock = folder, level, clock
        self._found: Debugging | None = None
        self._look_at = 0.0

    def __call__(
        self, _logger: Any, _method: str, event: structlog.types.EventDict
    ) -> structlog.types.EventDict:
        now = self._clock()
        level = logging.getLevelNamesMapping()[str(event["level"]).upper()]
        if event.get("event") in _CRASHES:
            self._note_crash(event, now)
        if level < self._level and not self._in_full(event.get("workflow_id"), now):
            raise structlog.DropEvent
        return event

    def _in_full(self, workflow_id: object, now: float) -> bool:
        if not self._look_at - _LOOK_SECONDS <= now < self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._found = read_debugging(self._folder)
        return self._found is not None and self._found.covers(workflow_id, now)

    def _note_crash(self, event: structlog.types.EventDict, now: float) -> None:
        about = event.get("workflow_id")
        before = read_debugging(self._folder)
        if before is not None and before.covers(about, now):
            return
        wanted = Debugging(now + CRASH_SECONDS, None if before else about, str(event["event"]))
        with suppress(OSError):
            write_debugging(self._folder, wanted)

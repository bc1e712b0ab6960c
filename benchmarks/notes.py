"""Records which task ran when: every no-op handler of every system appends one line to one file.

The clock is CLOCK_MONOTONIC, which all processes of a machine share. A note costs one `write`, about 2 us.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "BENCHMARK_NOTES"

_file: int | None = None


class WrongResult(Exception):
    """A system did not do all of its work, so its time does not count."""


@dataclass(frozen=True, slots=True)
class Note:
    """The start of a handler."""

    at: int
    """When its first line was reached, in nanoseconds by CLOCK_MONOTONIC."""

    name: str
    """The name of the task."""


def note(name: str) -> None:
    """Append a note for the task `name`. This must be the first line of a handler."""
    global _file  # noqa: PLW0603 - opened once a process
    at = time.monotonic_ns()
    if _file is None:
        _file = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_file, f"{at} {name}\n".encode())


def use_notes(folder: Path) -> Path:
    """Make this process and those that it starts write to a new file in the folder; return its path."""
    global _file  # noqa: PLW0603 - see note
    path = folder / f"notes-{time.monotonic_ns()}"
    path.touch()
    os.environ[VARIABLE] = str(path)
    _file = None
    return path


def read_notes(path: Path) -> list[Note]:
    """Return all notes, sorted by time."""
    parts = (line.split(" ", 1) for line in path.read_text("utf-8").splitlines())
    return sorted((Note(int(at), name) for at, name in parts), key=lambda one: one.at)


def check_notes(found: Sequence[Note], needs: dict[str, tuple[str, ...]]) -> None:
    """Check that every task ran exactly once and after all that it needs. Raises WrongResult."""
    began: dict[str, int] = {}
    for one in found:
        if one.name in began:
            raise WrongResult(f"task {one.name} ran twice")
        began[one.name] = one.at
    if began.keys() != needs.keys():
        missing = len(needs.keys() - began.keys())
        raise WrongResult(f"{missing} of {len(needs)} tasks did not run, {len(began)} did")
    for name, before in needs.items():
        early = [other for other in before if began[other] >= began[name]]
        if early:
            raise WrongResult(f"task {name} began before {early[0]}, which it needs")

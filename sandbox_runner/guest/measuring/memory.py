"""Measures all memory that the processes of this sandbox hold, the kernel's for them included.

Process 1 does so where no control group counts. What it could not see, the filter forbids (engine.seccomp).
What the kernel gives back by itself, such as files read and names looked up, does not count.
"""

from __future__ import annotations

import os
import time
from typing import Any

from sandbox_runner.guest.measuring.processes import (
    HeldByDescriptors,
    Mappings,
    SandboxProcess,
    all_processes,
)
from sandbox_runner.guest.measuring.sockets import SocketMeter

_LOCK, _SEGMENT, _INODE = 256, 8_192, 1_536
_FOLDERS = ("/work", "/tmp", "/dev/shm")  # noqa: S108 - inside
_SHORTEST, _LONGEST = 0.002, 0.025
_FASTEST = 4 << 30
"""Bytes a second by which a program's memory may grow."""
_SHARE = 3
"""A measurement takes at most one part of so many of the time."""


class MemoryMeter:
    """Tells when the processes of this sandbox hold more than a limit.

    It must be made before a filter is loaded. What is in the writable folders then does not count.
    """

    def __init__(self) -> None:
        self._sockets = SocketMeter()
        self._written_before = _written()
        self._limit = 0
        self._own = 0
        self._mappings = Mappings()
        self._hidden: set[str] = set()
        self._next_look = 0.0
        self._beside = self._looked_at = 0
        self.tick = _LONGEST
        """Seconds until the next measurement."""

    def begin(self, limit: int, own: int = 0) -> None:
        """Begin to measure. `own` is a process of ours, which may hide what it holds."""
        self._limit, self._own = limit, own
        self._next_look = 0.0
        self._beside = self._looked_at = 0
        self.tick = _SHORTEST

    def exceeded(self) -> bool:
        """Measure: what is quick to see each time, all of it less often, or where it may matter."""
        started = time.monotonic()
        processes = all_processes()
        resident = sum(each.resident for each in processes)
        # A new child has as many mappings as its parent.
        new = max(0, len(processes) - self._looked_at)
        total = resident + self._beside + new * self._mappings.of_one
        measured = time.monotonic()
        if total > self._limit or measured >= self._next_look:
            total, self._looked_at = self._look(processes), len(processes)
            self._beside = total - resident
            now = time.monotonic()
            self._next_look = now + max(_LONGEST, _SHARE * (now - measured))
        room = max(0, self._limit - total) / _FASTEST
        self.tick = max(_SHORTEST, _SHARE * (measured - started), min(_LONGEST, room))
        return total > self._limit

    def _look(self, processes: list[SandboxProcess]) -> int:
        """Return the bytes of all memory; more than the limit when a process hides what it holds."""
        resident = sum(each.private for each in processes)
        if resident > self._limit:
            resident = sum(each.proportional() for each in processes)
        total = resident + max(0, _written() - self._written_before) + _lines("/proc/locks") * _LOCK
        total += max(0, _lines("/proc/sysvipc/shm") - 1) * _SEGMENT
        sockets, unix = self._sockets.measure()
        total += sockets + self._mappings.measure(processes, self._limit)
        held = HeldByDescriptors(self._limit)
        hidden = {each.place for each in processes if not held.add(each)} - {f"/proc/{self._own}"}
        # Twice: some programs cannot be read, do little and end.
        twice, self._hidden = self._hidden & hidden, hidden
        return self._limit + 1 if twice else total + held.total(unix)


def _lines(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except OSError:
        return 0


def _written() -> int:
    """Return the bytes of what lies in the writable folders, each file system counted once."""
    sizes = {}
    for folder in _FOLDERS:
        try:
            found = os.statvfs(folder)
        except OSError:
            continue
        if found.f_files:
            size = (found.f_blocks - found.f_bfree) * found.f_frsize
            sizes[os.stat(folder).st_dev] = size + (found.f_files - found.f_ffree) * _INODE
    return sum(sizes.values())


def meter_for(settings: dict[str, Any] | None) -> MemoryMeter | None:
    """Return a meter where nothing else limits memory."""
    return MemoryMeter() if settings is not None and settings["measured"] else None

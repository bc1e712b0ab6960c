"""Measures all memory that the processes of this sandbox hold, the kernel's for them included.

Process 1 does so where no control group counts. What it could not see, the filter forbids (engine.seccomp).
What the kernel gives back by itself, such as files read and names looked up, does not count.
"""

from __future__ import annotations

import os
import time
from typing import Any

from sandbox_runner.guest.measuring.descriptors import HeldByDescriptors, Places
from sandbox_runner.guest.measuring.mappings import Mappings
from sandbox_runner.guest.measuring.processes import SandboxProcess, address_spaces, all_processes, names
from sandbox_runner.guest.measuring.sockets import SocketMeter

_LOCK, _SEGMENT, _INODE, _TERMINAL = 256, 8_192, 1_536, 65_536
_FOLDERS = ("/work", "/tmp", "/dev/shm")  # noqa: S108 - inside
_SHORTEST, _BETWEEN_LOOKS, _LONGEST = 0.002, 0.004, 0.025
_LOOKS = 3
"""So many in a row must show too much: what moves while it is measured may count twice."""
_FASTEST = 4 << 30
"""Bytes a second by which a program's memory may grow."""
_SHARE, _LONGEST_BETWEEN = 8, 0.25
"""A look at everything takes at most one part of so many of the time, but is due after these seconds."""


class MemoryMeter:
    """Tells when the processes of this sandbox hold more than a limit.

    It must be made before a filter is loaded. What is in the writable folders then does not count.
    """

    def __init__(self) -> None:
        self._sockets, self._places, self._mappings = SocketMeter(), Places(), Mappings()
        self._files_before, self._inodes_before = _written()
        self._shared_before = _shared_memory()
        self._unheld: set[int] = set()
        self._limit = self._beside = self._looks_above = 0
        self._next_look = 0.0
        self.tick = _LONGEST
        """Seconds until the next measurement."""

    def begin(self, limit: int) -> None:
        """Begin to measure another program."""
        self._limit, self._beside, self._looks_above = limit, 0, 0
        self._next_look = 0.0
        self.tick = _SHORTEST

    def exceeded(self) -> bool:
        """Measure: what is quick to see each time, all of it less often, or where it may matter."""
        started = time.monotonic()
        processes = all_processes()
        quick = sum(each.private + each.shared for each in processes)
        total = quick + self._beside
        measured = time.monotonic()
        if total > self._limit or measured >= self._next_look:
            total = self._look(address_spaces(processes))
            self._beside = total - quick
            now = time.monotonic()
            self._next_look = now + min(_LONGEST_BETWEEN, max(_LONGEST, _SHARE * (now - measured)))
        above = total > self._limit
        self._looks_above = self._looks_above + 1 if above else 0
        room = _BETWEEN_LOOKS if above else (self._limit - total) / _FASTEST
        self.tick = max(_SHORTEST, _SHARE / 2 * (measured - started), min(_LONGEST, room))
        return self._looks_above >= _LOOKS

    def _look(self, processes: list[SandboxProcess]) -> int:
        """Return the bytes of all memory."""
        files, inodes = _written()
        files, inodes = max(0, files - self._files_before), max(0, inodes - self._inodes_before)
        mapped, may_hold = self._mappings.measure(processes, self._limit)
        beside = files + inodes + mapped + self._held(processes)
        beside += _lines("/proc/locks") * _LOCK + max(0, _lines("/proc/sysvipc/shm") - 1) * _SEGMENT
        beside += len(names("/dev/pts")) * _TERMINAL
        # Shared memory may be out of sight. The machine knows how much there is, of all programs.
        unseen = min(may_hold, max(0, _shared_memory() - self._shared_before - files))
        parts = [(each.private, each.shared) for each in processes]
        total = beside + _sum(parts, files, unseen)
        if total > self._limit:
            total = beside + _sum([each.proportional() for each in processes], files, unseen)
        return total

    def _held(self, processes: list[SandboxProcess]) -> int:
        """Return the bytes of what descriptors hold, and sockets."""
        held = HeldByDescriptors(self._places, self._limit)
        for each in processes:
            held.add(each)
        sockets, unix = self._sockets.measure(held.sockets)
        # Twice: others may have been opened since.
        unheld, before = unix - held.sockets, self._unheld
        self._unheld = unheld
        return sockets + held.total(unseen=held.complete and bool(unheld & before))


def _sum(parts: list[tuple[int, int]], files: int, unseen: int) -> int:
    """Sum what processes have for themselves, and what they share beyond files in memory."""
    return sum(private for private, _ in parts) + max(sum(shared for _, shared in parts) - files, unseen)


def _lines(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return file.read().count(b"\n")
    except OSError:
        return 0


def _shared_memory() -> int:
    """Return the bytes of shared memory and files in memory of all programs of this machine."""
    try:
        with open("/proc/meminfo", "rb") as file:
            return next((int(line.split()[1]) << 10 for line in file if line.startswith(b"Shmem:")), 0)
    except OSError:
        return 0


def _written() -> tuple[int, int]:
    """Return the bytes of what lies in the writable folders, each file system counted once, and of inodes."""
    sizes = {}
    for folder in _FOLDERS:
        try:
            found = os.statvfs(folder)
        except OSError:
            continue
        if found.f_files:
            size = (found.f_blocks - found.f_bfree) * found.f_frsize
            sizes[os.stat(folder).st_dev] = size, (found.f_files - found.f_ffree) * _INODE
    return sum(size for size, _ in sizes.values()), sum(inodes for _, inodes in sizes.values())


def meter_for(settings: dict[str, Any] | None) -> MemoryMeter | None:
    """Return a meter where nothing else limits memory."""
    return MemoryMeter() if settings is not None and settings["measured"] else None

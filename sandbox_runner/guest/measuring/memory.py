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
from sandbox_runner.guest.measuring.sockets import SocketList, SocketMeter

_LOCK, _SEGMENT, _INODE, _TERMINAL = 256, 8_192, 1_536, 65_536
_FOLDERS = ("/work", "/tmp", "/dev/shm")  # noqa: S108 - inside
_SHORTEST, _LONGEST = 0.002, 0.025
_LOOKS, _SLOW_LOOKS = (3, 0.0), (2, 0.05)
"""So many in a row must show too much, so many seconds apart: what moves meanwhile may count twice."""
_FASTEST = 4 << 30
"""Bytes a second by which a program's memory may grow."""
_SHARE, _SHORTEST_BETWEEN, _LONGEST_BETWEEN = 16, 0.01, 0.1
"""A look at everything takes one part of so many of the time, as far as these seconds between two allow."""


class MemoryMeter:
    """Tells when the processes of this sandbox hold more than a limit.

    It must be made before a filter is loaded. What is in the writable folders then does not count.
    """

    def __init__(self) -> None:
        self._sockets, self._places, self._mappings = SocketMeter(), Places(), Mappings()
        self._written_before, self._shared_before = _written(), _shared_memory()
        self._unheld: set[int] = set()
        self._limit = self._beside = self._looks_above = 0
        self._next_look = self._above_since = 0.0
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
        files = sum(_written()) - sum(self._written_before)
        quick = sum(each.private for each in processes) + max(files, sum(each.shared for each in processes))
        total = quick + self._beside
        measured = time.monotonic()
        if total > self._limit or measured >= self._next_look:
            total = self._look(address_spaces(processes))
            self._beside = total - quick
            now = time.monotonic()
            self._next_look = now + min(_LONGEST_BETWEEN, max(_SHORTEST_BETWEEN, _SHARE * (now - measured)))
        self._looks_above = self._looks_above + 1 if total > self._limit else 0
        if self._looks_above <= 1:
            self._above_since = started
        room = max(0, self._limit - total) / _FASTEST
        self.tick = max(_SHORTEST, _SHARE / 4 * (measured - started), min(_LONGEST, room))
        seen = (self._looks_above, started - self._above_since)
        return any(seen[0] >= looks and seen[1] >= seconds for looks, seconds in (_LOOKS, _SLOW_LOOKS))

    def _look(self, processes: list[SandboxProcess]) -> int:
        """Return the bytes of all memory, or more than the limit as soon as that is known."""
        files = max(0, _written()[0] - self._written_before[0])
        inodes = max(0, _written()[1] - self._written_before[1])
        beside = files + inodes + _lines("/proc/locks") * _LOCK + len(names("/dev/pts")) * _TERMINAL
        beside += max(0, _lines("/proc/sysvipc/shm") - 1) * _SEGMENT
        sockets = self._sockets.listed()
        total = beside + sockets.size + _own(processes, files, self._limit - beside - sockets.size)
        if total > self._limit:
            return total
        mapped, may_hold = self._mappings.measure(processes, self._limit - total)
        # Shared memory may be out of sight. The machine knows how much there is, of all programs.
        seen = max(0, sum(each.shared for each in processes) - files)
        grown = max(0, _shared_memory() - self._shared_before - files)
        total += mapped + max(0, min(may_hold, grown) - seen)
        return total if total > self._limit else total + self._held(processes, sockets, self._limit - total)

    def _held(self, processes: list[SandboxProcess], sockets: SocketList, limit: int) -> int:
        """Return the bytes of what descriptors hold, and of sockets that are not listed."""
        held = HeldByDescriptors(self._places, limit)
        for each in processes:
            held.add(each)
        # Twice: others may have been opened since.
        unheld, before = sockets.unix - held.sockets, self._unheld
        self._unheld = unheld
        return sockets.unlisted(held.sockets) + held.total(unseen=held.complete and bool(unheld & before))


def _own(processes: list[SandboxProcess], files: int, limit: int) -> int:
    """Return the bytes of pages of the processes beyond files, with their stacks and tables in the kernel.

    What several have counts once, if the limit depends on it.
    """
    total = _sum([(each.private, each.shared) for each in processes], files)
    # Which takes long to find out, and longest where there is most to end.
    least = sum(each.beside_own for each in processes) + max((each.own for each in processes), default=0)
    if total <= limit or least > limit:
        return total
    return _sum([each.proportional() for each in processes], files)


def _sum(parts: list[tuple[int, int]], files: int) -> int:
    return sum(private for private, _ in parts) + max(0, sum(shared for _, shared in parts) - files)


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

"""Measures all memory that the processes of this sandbox hold, the kernel's for them included.

Process 1 does so where no control group counts. What it could not see, the filter forbids (engine.seccomp).
What the kernel gives back by itself, such as files read and names looked up, does not count.
"""

from __future__ import annotations

import os
import re
import time
from typing import Any

from sandbox_runner.guest.measuring.descriptors import HeldByDescriptors, Places
from sandbox_runner.guest.measuring.mappings import Mappings
from sandbox_runner.guest.measuring.processes import SandboxProcess, address_spaces, all_processes, names
from sandbox_runner.guest.measuring.sockets import SocketList, SocketMeter

_LOCK, _SEGMENT, _INODE, _TERMINAL = 256, 8_192, 1_536, 65_536
_OF_MACHINE = re.compile(rb"^(Shmem|SUnreclaim|VmallocUsed): +(\d+)", re.M)
_FOLDERS = ("/work", "/tmp", "/dev/shm")  # noqa: S108 - inside
_SHORTEST, _LONGEST = 0.002, 0.05
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
        self._written_before, (self._shared_before, self._kernel_before) = _written(), _of_machine()
        self._unheld: set[int] = set()
        self._limit = self._beside = self._looks_above = 0
        self._next = self._next_look = self._above_since = 0.0

    def begin(self, limit: int) -> None:
        """Begin to measure another program."""
        self._limit, self._beside, self._looks_above = limit, 0, 0
        self._kernel_before = _of_machine()[1]
        self._next = self._next_look = 0.0

    @property
    def wait(self) -> float:
        """Seconds until the next measurement."""
        return max(0.0, self._next - time.monotonic())

    def exceeded(self) -> bool:
        """Measure if it is time: what is quick to see each time, all less often, or where it may matter."""
        started = time.monotonic()
        if started < self._next:
            return False
        processes, sockets = all_processes(), self._sockets.listed()
        files = sum(_written()) - sum(self._written_before)
        quick = sum(each.private for each in processes) + max(files, sum(each.shared for each in processes))
        quick += sockets.size
        total = quick + self._beside
        measured = time.monotonic()
        if total > self._limit or measured >= self._next_look:
            total = self._look(processes, sockets)
            self._beside = total - quick
            now = time.monotonic()
            self._next_look = now + min(_LONGEST_BETWEEN, max(_SHORTEST_BETWEEN, _SHARE * (now - measured)))
        self._looks_above = self._looks_above + 1 if total > self._limit else 0
        if self._looks_above <= 1:
            self._above_since = started
        room = max(0, self._limit - total) / _FASTEST
        wait = max(_SHORTEST, _SHARE / 4 * (measured - started), min(_LONGEST, room))
        self._next = time.monotonic() + wait
        seen = (self._looks_above, started - self._above_since)
        return any(seen[0] >= looks and seen[1] >= seconds for looks, seconds in (_LOOKS, _SLOW_LOOKS))

    def _look(self, processes: list[SandboxProcess], sockets: SocketList) -> int:
        """Return the bytes of all memory, or more than the limit as soon as that is known."""
        now, before = _written(), self._written_before
        files, inodes = max(0, now[0] - before[0]), max(0, now[1] - before[1])
        beside = files + inodes + _lines("/proc/locks") * _LOCK + len(names("/dev/pts")) * _TERMINAL
        beside += max(0, _lines("/proc/sysvipc/shm") - 1) * _SEGMENT
        spaces = address_spaces(processes)
        total = beside + sockets.size + _own(spaces, files, self._limit - beside - sockets.size)
        if total > self._limit:
            return total
        mapped, may_hold = self._mappings.measure(spaces, self._limit - total)
        # Shared memory may be out of sight. The machine knows how much there is, of all programs.
        seen = max(0, sum(each.shared for each in spaces) - files)
        grown = max(0, _of_machine()[0] - self._shared_before - files)
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
        held.note_sent(unseen=held.complete and bool(unheld & before))
        # The same of what nobody sees.
        grown = max(0, _of_machine()[1] - self._kernel_before)
        return sockets.unlisted(held.sockets) + held.total() + min(held.out_of_sight, grown)


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


def _of_machine() -> tuple[int, int]:
    """Return what all programs of this machine have, in bytes.

    First shared memory and files in memory, then the kernel's objects that it cannot give back by itself.
    """
    with open("/proc/meminfo", "rb") as file:
        sizes = {name: int(size) << 10 for name, size in _OF_MACHINE.findall(file.read())}
    return sizes[b"Shmem"], sizes[b"SUnreclaim"] + sizes[b"VmallocUsed"]


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

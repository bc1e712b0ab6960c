"""What the processes of this sandbox hold, as /proc has it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from typing import Tuple  # noqa: UP035,RUF100 - as below

_KB = 1_024
_PAGE = 4_096
_THREAD = 32 * _KB
"""A thread's stack in the kernel and what it knows of it."""
_MAPPING, _MAPPING_OF_EACH = 384, 64
"""One mapping, and what it costs more for each process that may share it."""
_MANY_MAPPINGS = 2_000
_MOST_MAPPINGS = 65_530
"""Of one process, as kernels have it unless they are told otherwise."""
_LEAST_SHARED = (1 << 20, 8 << 20)
"""What shared memory counts that is seen in part: of each of the first four, and of each further one."""
_DESCRIPTOR, _PIPE, _WATCHED = _KB, 64 * _KB, 256
_WATCHED_FILE = 2 * _KB
_EVENTS = 16_384 * 320
"""The events of an inotify instance that nobody reads."""
_IN_FLIGHT = 512
"""The most descriptors that may be in messages: twice RLIMIT_NOFILE."""
_BLOCK = 65_536
_BLOCKS = 12
"""Of the list of mappings of a process, what is read at once: some 8,000 of them."""
_COUNTED = (b"RssAnon", b"RssShmem", b"VmSwap", b"VmPTE", b"HugetlbPages")
_SHARED_MEMORY = re.compile(rb"^(\w+)-(\w+) \S+ (\w+) \S+ (\d+) +/dev/zero \(deleted\)$", re.M)
_PROPORTIONAL = re.compile(rb"^Pss_Anon: +(\d+)", re.M)
_SENT = re.compile(rb"^scm_fds:\s+(\d+)", re.M)


class SandboxProcess:
    """What the kernel says of one process to everybody."""

    def __init__(self, pid: str) -> None:
        self.pid = pid
        self.place = f"/proc/{pid}"
        fields = _status(self.place)
        if b"VmSize" not in fields and fields.get(b"Threads", b"1") != b"1":
            # Its first thread has ended; what it holds is seen at another one.
            for thread in _names(f"{self.place}/task"):
                if b"VmSize" in (found := _status(f"{self.place}/task/{thread}")):
                    self.place, fields = f"{self.place}/task/{thread}", found
                    break
        self.has_ended = b"VmSize" not in fields
        sizes = {name: int(fields.get(name, b"0")) * _KB for name in _COUNTED}
        self.resident = sum(sizes.values()) + int(fields.get(b"Threads", b"1")) * _THREAD
        self.private = self.resident - sizes[b"RssShmem"]
        """Without what is shared or a file, which is counted otherwise."""
        self._anonymous = sizes[b"RssAnon"]
        self.pages = int(fields.get(b"VmSize", b"0")) * _KB // _PAGE

    def proportional(self) -> int:
        """Like `private`, with what several processes have counted once."""
        shares = [value for block in self.blocks("smaps_rollup") for value in _PROPORTIONAL.findall(block)]
        return self.private - self._anonymous + int(shares[0]) * _KB if shares else self.private

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield one of its files in blocks of whole lines; nothing when it cannot be read."""
        rest = b""
        try:
            with open(f"{self.place}/{name}", "rb") as file:
                while data := file.read(_BLOCK):
                    whole, end, rest = (rest + data).rpartition(b"\n")
                    yield whole + end
        except OSError:
            return


_Reading = Tuple[Iterator[bytes], int]  # noqa: UP006,RUF100 - valid for older Pythons too
"""What is left of a list, and how many mappings were in what was read."""


class Mappings:
    """The mappings of all processes, and the memory without a name in them that is shared.

    That stays when a process no longer sees it, so it counts as asked for.
    """

    def __init__(self) -> None:
        self.of_one = 0
        """Bytes of the mappings of the process that has most, where these are many."""
        self._extents: dict[bytes, int] = {}
        self._known: set[str] = set()
        self._reading: dict[str, _Reading] = {}

    def measure(self, processes: list[SandboxProcess], limit: int) -> int:
        """Return the bytes. A long list is read on the next time, and counts as a long one until then.

        No more is read than what shows that there are more than `limit`.
        """
        began, self._reading, seen = self._reading, {}, set[bytes]()
        cost, number, most = _MAPPING + _MAPPING_OF_EACH * len(processes), 0, 0
        for each in processes:
            count = self._count(each, began.get(each.pid), seen)
            number, most = number + count, max(most, count)
            if number * cost > limit:
                break
        self.of_one = most * cost if most > _MANY_MAPPINGS else 0
        self._known = {each.pid for each in processes}
        if not began and not self._reading:
            self._extents = {inode: size for inode, size in self._extents.items() if inode in seen}
        few, more = _LEAST_SHARED
        sizes = sorted(self._extents.values(), reverse=True)
        shared = sum(max(size, few if at < 4 else more) for at, size in enumerate(sizes))
        return number * cost + shared

    def _count(self, process: SandboxProcess, began: _Reading | None, seen: set[bytes]) -> int:
        """Read on in the list of one process; return how many mappings it has, as far as is known."""
        if self.of_one and process.pid not in self._known:
            # It may be a child with all mappings of its parent: reading them takes as long as making more.
            return min(process.pages, _MOST_MAPPINGS)
        blocks, number = began or (process.blocks("maps"), 0)
        for count, block in enumerate(blocks, start=1):
            number += block.count(b"\n")
            seen |= self._note(block)
            if count == _BLOCKS:
                self._reading[process.pid] = blocks, number
                return max(number, min(process.pages, _MOST_MAPPINGS))
        return max(number, min(process.pages, _MOST_MAPPINGS)) if began else number

    def _note(self, block: bytes) -> set[bytes]:
        seen = set()
        for begin, end, offset, inode in _SHARED_MEMORY.findall(block):
            extent = int(offset, 16) + int(end, 16) - int(begin, 16)
            self._extents[inode] = max(extent, self._extents.get(inode, 0))
            seen.add(inode)
        return seen


class HeldByDescriptors:
    """What descriptors hold."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._number = self._bytes = self._sent = 0
        self._pipes: set[int] = set()
        self._sockets: set[int] = set()

    def add(self, process: SandboxProcess) -> bool:
        """Add those of a process; return False when it hides them."""
        if process.has_ended:
            return True
        folder = f"{process.place}/fd"
        try:
            names = os.listdir(folder)
        except PermissionError:
            return False
        except OSError:
            return True
        self._number += len(names)
        for name in names:
            try:
                found = os.stat(f"{folder}/{name}")
                self._add_one(process, name, found)
            except OSError:
                continue
        return True

    def _add_one(self, process: SandboxProcess, name: str, found: os.stat_result) -> None:
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFIFO:
            self._pipes.add(found.st_ino)
        elif kind == stat.S_IFSOCK and found.st_ino not in self._sockets:
            self._sockets.add(found.st_ino)
            for block in process.blocks(f"fdinfo/{name}"):
                self._sent += sum(map(int, _SENT.findall(block)))
        elif kind == 0:
            link = os.readlink(f"{process.place}/fd/{name}")
            if link == "anon_inode:[eventpoll]":
                self._bytes += self._listed(process, name, b"tfd:") * _WATCHED
            elif "inotify" in link:
                self._bytes += _EVENTS + self._listed(process, name, b"inotify wd:") * _WATCHED_FILE

    def _listed(self, process: SandboxProcess, name: str, word: bytes) -> int:
        """Count lines that begin with a word, as far as they matter."""
        number, most = 0, self._limit // _WATCHED
        for block in process.blocks(f"fdinfo/{name}"):
            number += block.count(word)
            if number > most:
                break
        return number

    def total(self, unix: set[int]) -> int:
        """Return the bytes. `unix`: the Unix sockets that are open; one that nobody holds is in a message."""
        sent = _IN_FLIGHT if unix - self._sockets else self._sent
        return self._bytes + self._number * _DESCRIPTOR + (len(self._pipes) + sent) * _PIPE


def all_processes() -> list[SandboxProcess]:
    """Return all processes of this pid namespace but the first."""
    return [SandboxProcess(name) for name in _names("/proc") if name.isdigit() and name != "1"]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _status(place: str) -> dict[bytes, bytes]:
    """Return the first word of each field."""
    try:
        with open(f"{place}/status", "rb") as file:
            lines = [line.partition(b":") for line in file.read().splitlines()]
    except OSError:
        return {}
    return {name: (rest.split() or [b""])[0] for name, _, rest in lines}

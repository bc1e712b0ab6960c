"""What the processes of this sandbox hold, as /proc has it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator

from sandbox_runner.guest import linux

_KB = 1_024
_THREAD = 32 * _KB
"""A thread's stack in the kernel and what it knows of it."""
_FILTER = 256 * _KB
"""A seccomp filter of the longest kind, translated."""
_BLOCK = 65_536
_COUNTED = (b"RssAnon", b"VmSwap", b"VmPTE", b"HugetlbPages")
_PROPORTIONAL = re.compile(rb"^Pss_(Anon|Shmem): +(\d+)", re.M)
_SYS_KCMP = {"x86_64": 312, "aarch64": 272}
_KCMP_VM = 1


class SandboxProcess:
    """What the kernel says of one process to everybody."""

    def __init__(self, pid: str) -> None:
        self.place = f"/proc/{pid}"
        self._task = pid
        fields = status(self.place)
        if b"VmSize" not in fields and fields.get(b"Threads", b"1") != b"1":
            # Its first thread has ended; what it holds is seen at another one.
            for thread in names(f"{self.place}/task"):
                if b"VmSize" in (found := status(f"{self.place}/task/{thread}")):
                    self.place, self._task, fields = f"{self.place}/task/{thread}", thread, found
                    break
        self.pid = pid
        self.parent = fields.get(b"PPid", b"0").decode()
        self.has_ended = b"VmSize" not in fields
        wanted = (*_COUNTED, b"RssShmem", b"RssFile", b"VmLck")
        sizes = {name: int(fields.get(name, b"0")) * _KB for name in wanted}
        filters = max(0, int(fields.get(b"Seccomp_filters", b"1")) - 1)
        kernel = int(fields.get(b"Threads", b"1")) * _THREAD + filters * _FILTER
        self.shared = sizes[b"RssShmem"]
        """Bytes that it sees of shared memory and of files in memory."""
        # The kernel gives back pages of files by itself, unless they are locked.
        locked = min(sizes[b"RssFile"], sizes[b"VmLck"])
        self.private = sum(sizes[name] for name in _COUNTED) + kernel + locked
        self.own = sizes[b"RssAnon"]
        """Bytes of it that a child made by fork may have too."""
        self.beside_own = self.private - self.own
        self.descriptors = int(fields.get(b"FDSize", b"0"))

    def proportional(self) -> tuple[int, int]:
        """Return `private` and `shared` with its part of what several processes have."""
        for block in self.blocks("smaps_rollup"):
            sizes = {name: int(size) * _KB for name, size in _PROPORTIONAL.findall(block)}
            if len(sizes) == len((b"Anon", b"Shmem")):
                return self.beside_own + sizes[b"Anon"], sizes[b"Shmem"]
        again = SandboxProcess(self.pid)
        return (0, 0) if again.has_ended else (again.private, again.shared)

    def shares_all_with(self, other: SandboxProcess) -> bool:
        """Tell whether both are one address space, as after vfork until the child is another program."""
        if self.has_ended or other.has_ended:
            return False
        return same_memory(int(self._task), int(other._task))

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield one of its files in blocks of whole lines; nothing when it cannot be read."""
        rest = b""
        try:
            with open(f"{self.place}/{name}", "rb", buffering=0) as file:
                while data := file.read(_BLOCK):
                    whole, end, rest = (rest + data).rpartition(b"\n")
                    yield whole + end
        except OSError:
            return


def same_memory(one: int, other: int) -> bool:
    """Tell whether two processes are one address space; False where the kernel does not tell (kcmp)."""
    return linux.syscall(_SYS_KCMP[platform.machine()], one, other, _KCMP_VM, 0, 0) == 0


def all_processes() -> list[SandboxProcess]:
    """Return all processes of this pid namespace but the first."""
    return [SandboxProcess(name) for name in names("/proc") if name.isdigit() and name != "1"]


def address_spaces(processes: list[SandboxProcess]) -> list[SandboxProcess]:
    """Leave out children that are still one address space with their parent."""
    known = {each.pid: each for each in processes}
    parents = [(each, known.get(each.parent)) for each in processes]
    return [each for each, parent in parents if parent is None or not each.shares_all_with(parent)]


def names(folder: str) -> list[str]:
    """List a folder; nothing when it cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def status(place: str) -> dict[bytes, bytes]:
    """Return the first word of each field."""
    try:
        with open(f"{place}/status", "rb", buffering=0) as file:
            lines = [line.partition(b":") for line in file.read().splitlines()]
    except OSError:
        return {}
    return {name: (rest.split() or [b""])[0] for name, _, rest in lines}

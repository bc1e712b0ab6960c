"""The sandbox, which runs untrusted programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

_EMPTY: Mapping[str, Any] = MappingProxyType({})
_MEGABYTE: Final = 1024 * 1024


class Verdict(StrEnum):
    """How a program in the sandbox ended. A sandbox that itself fails raises SandboxUnavailable instead."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OOM = "oom"
    OUTPUT_LIMIT = "output_limit"
    KILLED = "killed"
    POLICY = "policy"


class Isolation(StrEnum):
    """How strongly the program was isolated, strongest first."""

    CONTAINER = "container"
    NAMESPACES = "namespaces"
    SYSCALLS = "syscalls"


def _folders(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Limits of one execution. All are enforced from outside the program."""

    wall_seconds: float = 60.0
    memory_mb: int = 512
    processes: int = 64
    cpus: float = 1.0
    output_bytes: int = 1_000_000
    disk_mb: int = 64
    file_count: int = 5_000

    def with_room_for(self, files: Mapping[str, bytes]) -> SandboxLimits:
        """These limits, with more disk, files and memory where such a tree would take more than half."""
        megabytes = -(-sum(map(len, files.values())) // _MEGABYTE)
        folders = {folder for path in files for folder in _folders(path)}
        disk = max(self.disk_mb, 2 * megabytes)
        return replace(
            self,
            disk_mb=disk,
            # What is written stays in memory.
            memory_mb=self.memory_mb + disk - self.disk_mb,
            file_count=max(self.file_count, 2 * (len(files) + len(folders))),
        )


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """One execution."""

    argv: tuple[str, ...]
    """The command, run without a shell; `python` and `pytest` work in every backend."""
    files: Mapping[str, bytes] = field(default_factory=lambda: _EMPTY)
    """Relative path -> content, written below the work folder, which is the current folder."""
    read_only: tuple[str, ...] = ()
    """Those of `files` that the program must not change. Where a backend cannot mount, it is told by their
    mode alone."""
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    collect: tuple[str, ...] = ()
    """Relative paths, or folders ending in `/`, to read back after the program ended; missing ones are left
    out of the result."""
    limits: SandboxLimits = SandboxLimits()
    labels: Mapping[str, str] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """How an execution ended and what it left."""

    verdict: Verdict
    exit_code: int | None
    """None when the program was ended from outside."""
    stdout: bytes
    stderr: bytes
    files: Mapping[str, bytes]
    seconds: float
    backend: str
    isolation: Isolation


class Sandbox(Protocol):
    """Runs untrusted programs, without a network.

    A program that fails, is killed or breaks a rule is a result. A sandbox that cannot do its work raises
    SandboxUnavailable; files that may not be written (see contracts.base.paths) raise UnsafePath. After `run`
    has returned, raised or been cancelled, no process, container, mount or file of it is left.
    """

    @property
    def backend(self) -> str: ...

    @property
    def isolation(self) -> Isolation: ...

    async def run(self, request: SandboxRequest) -> SandboxResult: ...

    async def close(self) -> None: ...

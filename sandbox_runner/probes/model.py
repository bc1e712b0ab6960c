"""The outcome of a probe, and what all probes share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from contracts.ports.sandbox import Sandbox, SandboxLimits


@dataclass(frozen=True, slots=True)
class SandboxFacts:
    """What the probes may expect of a backend on this machine."""

    landlock: int = 0
    """The Landlock version that the kernel offers the program; 0 for none."""

    counts_processes: bool = True
    """Whether the number of processes is limited."""

    started_by_root: bool = True
    """Whether a program could be the host's root.

    The kernel maps an unprivileged process to no other user than itself, and shows user ids as they are in
    the namespace of the process that started the sandbox. So without root the outer user id is not checked.
    """


class Status(StrEnum):
    """How a probe ended."""

    OK = "ok"
    DIFFERENT = "different"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one probe on one backend."""

    probe: str
    """The name of the probe."""

    must: str
    """What had to happen, in words."""

    status: Status

    seen: str = ""
    """What happened instead; empty when the probe is ok."""


def outcome(probe: str, must: str, seen: str) -> Outcome:
    """Make the outcome of a probe that ran. It is ok when `seen` is empty."""
    return Outcome(probe, must, Status.DIFFERENT if seen else Status.OK, seen)


@dataclass(frozen=True, slots=True)
class Abuse:
    """One way to misbehave."""

    name: str

    must: str
    """What must happen, in words."""

    attempt: Callable[[Sandbox], Awaitable[str]]
    """Runs it in a sandbox and returns what was wrong; "" when nothing was."""


_INSIDE = "sandbox_runner.probes.inside"


def module(name: str) -> str:
    """Return the name by which Python in a sandbox imports one of the programs in `inside`."""
    return f"{_INSIDE}.{name}"


@cache
def program(name: str) -> dict[str, bytes]:
    """Return one of the programs in `inside` as a file for a request."""
    path = f"{_INSIDE.replace('.', '/')}/{name}.py"
    return {path: (resources.files(_INSIDE) / f"{name}.py").read_bytes()}


LIMITS = SandboxLimits(
    wall_seconds=20, memory_mb=192, processes=24, output_bytes=200_000, disk_mb=8, file_count=200
)
"""Enough for a Python with a few threads, and so low that a program reaches every limit quickly."""

"""What a probe is, and what comes of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

from contracts.ports.sandbox import SandboxLimits


@dataclass(frozen=True, slots=True)
class SandboxFacts:
    """What an honest backend of this machine can be asked for.

    landlock: version that the kernel offers the program, 0 none. counts_processes: whether the number of
    processes is limited at all. started_by_root: whether a program could be the host's root at all; the
    kernel gives nobody a user that its starter is not, and counts users from the starter's own namespace.
    """

    landlock: int = 0
    counts_processes: bool = True
    started_by_root: bool = True


class Status(StrEnum):
    """How a probe ended."""

    OK = "ok"
    DIFFERENT = "different"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One probe on one backend: `must` is what had to happen, `seen` what happened instead, empty when ok."""

    probe: str
    must: str
    status: Status
    seen: str = ""


def outcome(probe: str, must: str, seen: str) -> Outcome:
    """The outcome of a probe that ran: as expected when nothing else was seen."""
    return Outcome(probe, must, Status.DIFFERENT if seen else Status.OK, seen)


_INSIDE = "sandbox_runner.probes.inside"


def module(name: str) -> str:
    """The name under which a sandbox's Python finds one of the programs in `inside`."""
    return f"{_INSIDE}.{name}"


@cache
def program(name: str) -> dict[str, bytes]:
    """One of the programs in `inside`, as a file for a request."""
    path = f"{_INSIDE.replace('.', '/')}/{name}.py"
    return {path: (resources.files(_INSIDE) / f"{name}.py").read_bytes()}


# Enough for a Python with a few threads, and little enough that every limit is met soon.
LIMITS = SandboxLimits(
    wall_seconds=20, memory_mb=192, processes=24, output_bytes=200_000, disk_mb=8, file_count=200
)

"""Messages between callers and the hosts of sandboxes.

Bytes travel as one bundle: the contents one after the other, compressed with zlib, in base64. The sizes
beside it say where each ends, so that no more is unpacked than was announced.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from contracts.base.model import Entries, Identifier, LongText, Model, PathText, ShortText

MAX_SANDBOX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""Limit of an encoded request or result; its sender refuses a larger one."""

MAX_BUNDLE_BYTES: Final = 64 * 1024 * 1024
"""Limit of an unpacked bundle."""

_Count = Annotated[int, Field(ge=0, le=MAX_BUNDLE_BYTES)]
_Positive = Annotated[int, Field(ge=1, le=2**40)]
_Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
_Argument = Annotated[str, StringConstraints(max_length=1_000_000)]
_Label = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]*$", max_length=100)]
_LabelValue = Annotated[str, StringConstraints(max_length=300)]
_Identifiers = Annotated[Entries[Identifier], Field(max_length=10_000)]


class SandboxBounds(Model):
    """Limits of one execution; see SandboxLimits."""

    wall_seconds: _Seconds
    memory_mb: _Positive
    processes: _Positive
    cpus: float = Field(gt=0, le=1_024)
    output_bytes: _Positive
    disk_mb: _Positive
    file_count: _Positive


class BundledFile(Model):
    """A file of a bundle."""

    path: PathText
    size: _Count


class SandboxOrder(Model):
    """A program to run, for any host that reads it. The same id again asks for the same execution.

    The bundle holds standard input and then the files, in their order.
    """

    request_id: Identifier
    caller_id: Identifier = Field(description="names the channel that expects the result")
    deadline: float = Field(ge=0, description="seconds since 1970 UTC after which the caller waits no longer")
    remaining_seconds: _Seconds = Field(description="until the deadline when this was sent; needs no clock")
    argv: Entries[_Argument] = Field(min_length=1, max_length=10_000)
    env: dict[str, _Argument] = Field(default={}, max_length=1_000)
    limits: SandboxBounds
    collect: Entries[PathText] = Field(default=(), max_length=10_000)
    read_only: tuple[PathText, ...] | None = Field(
        default=None, description="files that the program must not change; None for none"
    )
    labels: dict[_Label, _LabelValue] = Field(default={}, max_length=20)
    stdin_size: _Count = 0
    files: Entries[BundledFile] = Field(default=(), max_length=100_000)
    bundle_base64: str = ""


class SandboxOutcome(Model):
    """The result of a program. The bundle holds standard output, standard error, and the files.

    `infra`: the sandbox itself could not do its work, which is never the program's fault. `unsafe_path` and
    `invalid_input`: the host refused the request. `reason` says why in these three cases.
    """

    request_id: Identifier
    host_id: Identifier
    verdict: Literal[
        "ok",
        "failed",
        "timeout",
        "oom",
        "output_limit",
        "killed",
        "policy",
        "infra",
        "unsafe_path",
        "invalid_input",
    ]
    reason: LongText = ""
    exit_code: int | None = None
    stdout_size: _Count = 0
    stderr_size: _Count = 0
    files: Entries[BundledFile] = Field(default=(), max_length=100_000)
    bundle_base64: str = ""
    seconds: float = Field(default=0.0, ge=0)
    backend: Annotated[str, StringConstraints(max_length=100)] = ""
    isolation: Literal["container", "namespaces", "syscalls"]


class SandboxHost(Model):
    """A sign of life of a host, with what it holds."""

    host_id: Identifier
    machine: ShortText
    backend: Annotated[str, StringConstraints(max_length=100)]
    isolation: Literal["container", "namespaces", "syscalls"]
    slots: int = Field(ge=0, description="programs at once; 0 when it accepts no more")
    running: int = Field(default=0, ge=0, description="slots in use")
    held: _Identifiers = Field(default=(), description="requests it runs, or has a result for")
    handed_back: _Identifiers = Field(default=(), description="requests it will not finish")
    workspaces: int | None = Field(
        default=None, ge=0, description="workspaces it would open now; absent where it opens none"
    )
    lasting_workspaces: int | None = Field(
        default=None,
        ge=0,
        description="how many of these for holders that may ask for another one meanwhile; absent for all",
    )


class SandboxControl(Model):
    """What a caller tells all hosts about its own requests."""

    caller_id: Identifier
    waiting: _Identifiers = Field(default=(), description="it waits for these")
    received: _Identifiers = Field(default=(), description="it has the results of these")
    cancelled: _Identifiers = Field(default=(), description="it does not want these any more")

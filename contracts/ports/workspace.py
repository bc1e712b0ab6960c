"""A workspace: the tree of one task in one sandbox, for as long as the task works on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from contracts.ports.sandbox import Isolation, SandboxLimits, Verdict
from contracts.ports.trees import NO_CHANGES, TreeBase, TreeChanges

_MEGABYTE: Final = 1024 * 1024


class Placement(StrEnum):
    """How the tree came into the sandbox."""

    OVERLAY = "overlay"
    """What is written lies over a checkout that stays as it is."""
    COPY = "copy"
    """All files were copied."""


MADE_BY_PROGRAMS: Final = frozenset(
    {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "node_modules"}
)
"""Folders that are nobody's work, also where a repository does not tell Git to ignore them."""


@dataclass(frozen=True, slots=True)
class WorkspaceLimits:
    """Limits of a workspace. All are enforced from outside the programs."""

    command_seconds: float = 300.0
    """Wall time of one command."""
    output_bytes: int = 1_000_000
    """Output of one command."""
    cpus: float = 1.0
    memory_mb: int = 2_048
    """Of all processes, and of what was written."""
    processes: int = 256
    disk_mb: int = 1_024
    """What is written, beside the tree."""
    file_count: int = 50_000
    """Files of the tree, and beside them those that are written."""
    changed_mb: int = 32
    """What `diff` and `snapshot` bring back."""
    changed_files: int = 10_000

    def of_command(self, limits: CommandLimits | None = None) -> SandboxLimits:
        """The limits of one command."""
        own = limits or CommandLimits()
        return SandboxLimits(
            wall_seconds=own.wall_seconds or self.command_seconds,
            memory_mb=self.memory_mb,
            processes=self.processes,
            cpus=self.cpus,
            output_bytes=own.output_bytes or self.output_bytes,
            disk_mb=self.disk_mb,
            file_count=self.file_count,
        )

    @property
    def changed_bytes(self) -> int:
        return self.changed_mb * _MEGABYTE


@dataclass(frozen=True, slots=True)
class CommandLimits:
    """Limits of one command; what is None is as for the workspace."""

    wall_seconds: float | None = None
    output_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A server that runs beside the commands of a workspace, and is ended with it."""

    name: str
    argv: tuple[str, ...]
    """Its program, which stays in the foreground."""
    ready: str
    """What it prints when it can be used."""


@dataclass(frozen=True, slots=True)
class PrivateFiles:
    """Files of a user's own, such as keys for tests."""

    folder: str
    """Folder of this machine that holds them, and nothing else."""
    hash: str
    """64 hex digits that change when they do."""


@dataclass(frozen=True, slots=True)
class NamedEnvironment:
    """An environment that a sandbox host has, or makes."""

    commit: str
    """What it is made for."""
    hash: str
    """That of the one that is meant; 64 hex digits."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What programs find beside the tree: the packages that a repository needs."""

    mounts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Absolute path in the sandbox -> folder of this machine, which is there read-only."""
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    beside: str = ""
    """Folder of this machine whose files lie among the tree's own, such as those that a build wrote; "" for
    none. Where the tree has a path as well, the tree's file is there. Unchanged ones are no change."""
    host_programs: tuple[tuple[str, ...], ...] = ()
    """Commands of programs that are made for this machine's libraries. Each succeeds where they run; that is
    tried in a container, whose libraries are others."""
    services: tuple[Service, ...] = ()
    """Started before the first command. Between commands they stand still."""
    private: PrivateFiles | None = None
    """They lie among the tree's own as `beside` does, for programs alone. `diff` leaves them out even when
    they were changed, `read`, `write`, `glob` and `grep` do not have them, and what looks like a key in them
    is hidden in what programs print."""
    at_host: NamedEnvironment | None = None
    """For workspaces at sandbox hosts, to which no folder of this machine is sent; the others are empty."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to the tree before the first command."""

    changes: TreeChanges = NO_CHANGES
    """Within the limits for changes; `diff` has them too. A file that is there keeps its mode."""
    read_only: tuple[str, ...] = ()
    """Files that no command can change. Where a backend cannot mount, it is told by their mode alone."""


NO_ENVIRONMENT: Final = Environment()
AS_IT_IS: Final = Preparation()
USUAL_LIMITS: Final = WorkspaceLimits()


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a command ended."""

    number: int
    verdict: Verdict
    exit_code: int | None
    """None when it was ended from outside."""
    stdout: bytes
    stderr: bytes
    seconds: float


class FolderEntry(NamedTuple):
    """What a folder holds under a name."""

    name: str
    """Bytes that are not UTF-8 are surrogate escapes, here and in every path of a workspace."""
    kind: str
    """`file`, `folder`, `link` or `other`."""
    size: int


class GrepMatch(NamedTuple):
    """A line that matches."""

    path: str
    line: int
    """From 1 on."""
    text: str
    """Without its end, cut at 500 bytes."""


class Workspace(Protocol):
    """A tree in a sandbox without a network, used by one task and then ended.

    Paths are relative to the tree's root, and symbolic links are followed within it only. Raises InvalidInput
    for a path or argument that cannot be used, SandboxUnavailable once the sandbox has failed: what it held
    is lost, and whoever goes on opens the tree of the last snapshot.

    One call is worked on at a time, others wait. A call that is cancelled goes on inside.
    """

    @property
    def backend(self) -> str: ...

    @property
    def isolation(self) -> Isolation: ...

    @property
    def placement(self) -> Placement: ...

    async def exec(
        self, number: int, argv: Sequence[str], *, stdin: bytes = b"", limits: CommandLimits | None = None
    ) -> ExecResult:
        """Run a command in the tree's root, without a shell. When this returns no process of it is left.
        What a service that ended meanwhile printed last stands at the end of standard error.

        number: 1 for the first command, then one more each. A command whose number was used before is not run
        again: its answer comes from memory, which keeps the last hundred. Raises InvalidInput when the number
        belongs to another command or to a forgotten one, or leaves a gap.
        """

    async def read(self, path: str, *, offset: int = 0, size: int | None = None) -> bytes:
        """Read a file from `offset` on; at most the workspace's output_bytes, and `size`."""

    async def write(self, path: str, content: bytes) -> None:
        """Write a file, with the folders above it. A file that is there keeps its mode."""

    async def list(self, path: str = "") -> tuple[FolderEntry, ...]:
        """List a folder, by name."""

    async def glob(self, pattern: str) -> tuple[str, ...]:
        """List files and links whose path matches, sorted; `**` stands for any number of folders.

        Git's own folder is left out, here and in `grep`.
        """

    async def grep(self, pattern: str, path: str = "", *, most: int = 200) -> tuple[GrepMatch, ...]:
        """Search text files below `path` for a regular expression (Python's `re`); at most `most` lines."""

    async def diff(self) -> TreeChanges:
        """Read what differs from the tree that was opened, ignored files included.

        What is new in MADE_BY_PROGRAMS is left out.

        Raises UnsafePath when a changed file may not be in a tree (contracts.base.paths), LimitExceeded above
        the limits for changes.
        """

    async def snapshot(self) -> str:
        """Write what there is to the store; return the tree's name. Raises as `diff`, and ArtifactError."""

    async def close(self) -> None:
        """End the sandbox. No process, mount or file of it is left."""


class Workspaces(Protocol):
    """Opens workspaces."""

    async def offered(self) -> bool:
        """Whether any can be opened: sandbox hosts that know no artifact store open none.

        Raises SandboxUnavailable when no host is heard.
        """

    async def open(
        self,
        base: TreeBase,
        environment: Environment = NO_ENVIRONMENT,
        limits: WorkspaceLimits = USUAL_LIMITS,
        preparation: Preparation = AS_IT_IS,
        *,
        brief: bool = False,
    ) -> Workspace:
        """Open a tree. The caller closes it.

        brief: whether the caller closes it before it opens another one. There is room for such a one also
        where all others wait for room.

        `.git` is there: HEAD at the base's commit, with its history and the tags in it, no remote, no hook.
        Raises InvalidInput for a tree above the limits, LimitExceeded for changes above them, UnsafePath for
        one that may not be in a tree, ArtifactError for a tree that the store does not hold,
        EnvironmentFailed for a service that does not start, NotConfigured for programs of this machine that
        do not run in a container, SandboxUnavailable.
        """

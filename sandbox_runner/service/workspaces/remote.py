"""The ports of workspaces and environments over a lease at a sandbox host.

No tree is sent: the host takes it from the artifact store. What comes back is what changed, which is checked
here as if a stranger had sent it, and written to the store by who holds the workspace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Container, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from contracts.base.errors import DecodeError, InvalidInput, SandboxUnavailable
from contracts.base.paths import check_tree
from contracts.ports.environments import PreparedEnvironment
from contracts.ports.trees import TreeBase, TreeChanges, TreeStore
from contracts.ports.workspace import (
    AS_IT_IS,
    NO_ENVIRONMENT,
    USUAL_LIMITS,
    CommandLimits,
    Environment,
    ExecResult,
    FolderEntry,
    GrepMatch,
    NamedEnvironment,
    Preparation,
    WorkspaceLimits,
)
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.service.workspaces import calls
from sandbox_runner.service.workspaces.bodies import Body, Unsuited
from sandbox_runner.service.workspaces.lease import HostFull, Lease, unbelievable
from sandbox_runner.service.workspaces.link import HostLink
from sandbox_runner.workspace.opening import check_preparation
from sandbox_runner.workspace.workspace import check_argv, check_positive

_A = TypeVar("_A", bound=calls.Nothing)
_T = TypeVar("_T")
_FULL_SECONDS: Final = 0.2
_KINDS: Final = frozenset({"file", "folder", "link", "other"})
_REMEMBERED: Final = 1_000


@dataclass(frozen=True, slots=True)
class _First:
    """What a lease begins with."""

    call: calls.OpenCall | calls.PrepareCall
    content: bytes = b""
    wanted: str = ""
    """Hash of the environment that is meant."""
    brief: bool = False
    """See Workspaces.open."""


class RemoteWorkspaces:
    """The ports Workspaces and Environments: at sandbox hosts, for what is in the store."""

    def __init__(self, link: HostLink, trees: TreeStore) -> None:
        self._link, self._trees = link, trees
        self._made_at: dict[str, str] = {}
        self._declined: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)
        """Hosts, and the hash of the environment for which each was not suited, "" where none was meant."""

    async def offered(self) -> bool:
        """See Workspaces."""
        return await self._link.offered()

    async def open(
        self,
        base: TreeBase,
        environment: Environment = NO_ENVIRONMENT,
        limits: WorkspaceLimits = USUAL_LIMITS,
        preparation: Preparation = AS_IT_IS,
        *,
        brief: bool = False,
    ) -> RemoteWorkspace:
        check_preparation(preparation, limits)
        if environment.mounts or environment.beside or environment.private:
            raise InvalidInput("environment: a sandbox host has no folder of this machine")
        tree = await self._trees.tree_of(base)
        changes, content = calls.listed(preparation.changes)
        call = calls.OpenCall(
            commit=base.commit,
            tree=tree,
            environment=environment.at_host,
            limits=limits,
            changes=changes,
            read_only=tuple(map(calls.raw, preparation.read_only)),
        )
        wanted = environment.at_host.hash if environment.at_host else ""
        first = _First(call, content, wanted, brief=brief)
        lease, opened = await self._first(first, calls.OpenedAnswer)
        return RemoteWorkspace(lease, opened, limits, self._trees, tree)

    @asynccontextmanager
    async def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        """See Environments. Another host than the one that has it makes it again, where a workspace opens."""
        await self._trees.tree_of(TreeBase(commit))
        first = _First(calls.PrepareCall(commit=commit), brief=True)
        lease, made = await self._first(first, calls.PreparedAnswer, say)
        await run_to_completion(lease.close())
        if not made.hash:
            yield None
            return
        self._made_at[made.hash] = lease.host_id
        environment = Environment(at_host=NamedEnvironment(commit, made.hash))
        yield PreparedEnvironment(environment, made.name, made.hash)

    async def close(self) -> None:
        """Hear no more of hosts; the workspaces are closed already."""
        await self._link.close()

    async def _first(
        self, first: _First, kind: type[_A], say: Callable[[str], None] = lambda _: None
    ) -> tuple[Lease, _A]:
        """Ask for what a lease begins with; there is no lease when that raises.

        A host that is not suited is passed over. Raises SandboxUnavailable when there is no other one.
        """
        declined: dict[str, str] = {}
        while True:
            lease = await self._link.lease(partial(self._worth, first.wanted, declined), brief=first.brief)
            if lease is None:
                raise SandboxUnavailable(
                    "; ".join(f"sandbox host {name} {why}" for name, why in declined.items())
                )
            try:
                body = await lease.ask(first.call, first.content, say)
                return lease, await _read(lease, partial(body.of, kind))
            except HostFull:
                await run_to_completion(lease.close())
                await asyncio.sleep(_FULL_SECONDS)
            except Unsuited as error:
                await run_to_completion(lease.close())
                declined[lease.host_id] = str(error)
                self._declined.append((lease.host_id, first.wanted))
            except BaseException:
                await run_to_completion(lease.close())
                raise

    def _worth(self, wanted: str, declined: Container[str], host_id: str) -> int | None:
        """How good a host is for an environment; None for one that has said no. Others are asked last."""
        if host_id in declined:
            return None
        if not {(host_id, wanted), (host_id, "")}.isdisjoint(self._declined):
            return 0
        return 2 if host_id == self._made_at.get(wanted) else 1


class RemoteWorkspace:
    """The port, over a lease."""

    def __init__(
        self, lease: Lease, opened: calls.OpenedAnswer, limits: WorkspaceLimits, trees: TreeStore, tree: str
    ) -> None:
        self.backend, self.isolation, self.placement = opened.backend, opened.isolation, opened.placement
        self._lease, self._limits = lease, limits
        self._trees, self._tree = trees, tree

    async def exec(
        self, number: int, argv: Sequence[str], *, stdin: bytes = b"", limits: CommandLimits | None = None
    ) -> ExecResult:
        check_argv(argv)
        check_positive(limits)
        own = limits or CommandLimits()
        call = calls.ExecCall(
            number=number,
            argv=tuple(map(calls.raw, argv)),
            wall_seconds=own.wall_seconds,
            output_bytes=own.output_bytes,
        )
        most = own.output_bytes or self._limits.output_bytes
        return await self._ask(call, lambda body: _result(number, body, most), stdin)

    async def read(self, path: str, *, offset: int = 0, size: int | None = None) -> bytes:
        most = self._limits.output_bytes if size is None else min(size, self._limits.output_bytes)
        call = calls.ReadCall(path=calls.raw(path), offset=offset, size=size)
        return await self._ask(call, lambda body: _at_most(body.content, most))

    async def write(self, path: str, content: bytes) -> None:
        await self._ask(calls.WriteCall(path=calls.raw(path)), lambda _: None, content)

    async def list(self, path: str = "") -> tuple[FolderEntry, ...]:
        return await self._ask(calls.ListCall(path=calls.raw(path)), _entries)

    async def glob(self, pattern: str) -> tuple[str, ...]:
        call = calls.GlobCall(pattern=calls.raw(pattern))
        return await self._ask(call, lambda body: tuple(map(calls.text_of, body.of(calls.PathsAnswer).paths)))

    async def grep(self, pattern: str, path: str = "", *, most: int = 200) -> tuple[GrepMatch, ...]:
        call = calls.GrepCall(pattern=calls.raw(pattern), path=calls.raw(path), most=most)
        return await self._ask(call, _matches)

    async def diff(self) -> TreeChanges:
        return await self._ask(calls.DiffCall(), lambda body: _changes(body, self._limits))

    async def snapshot(self) -> str:
        return await self._trees.write_tree(self._tree, await self.diff())

    async def close(self) -> None:
        await run_to_completion(self._lease.close())

    async def _ask(self, call: calls.Call, read: Callable[[Body], _T], content: bytes = b"") -> _T:
        body = await self._lease.ask(call, content)
        return await _read(self._lease, lambda: read(body))


async def _read(lease: Lease, read: Callable[[], _T]) -> _T:
    """Read an answer. Raises SandboxUnavailable for one that no host of ours gives."""
    try:
        return await asyncio.to_thread(read)
    except (DecodeError, UnicodeError) as error:
        raise unbelievable(lease.host_id, error) from None


def _result(number: int, body: Body, most: int) -> ExecResult:
    found = body.of(calls.ExecAnswer)
    output = _at_most(body.content, most)
    out, err = output[: found.stdout_size], output[found.stdout_size :]
    return ExecResult(number, found.verdict, found.exit_code, out, err, found.seconds)


def _entries(body: Body) -> tuple[FolderEntry, ...]:
    found = tuple(
        FolderEntry(calls.text_of(name), kind, size)
        for name, kind, size in body.of(calls.EntriesAnswer).entries
    )
    if strange := next((one.kind for one in found if one.kind not in _KINDS), None):
        raise _unlike(f"has an entry of the kind {strange[:80]!r}")
    return found


def _matches(body: Body) -> tuple[GrepMatch, ...]:
    found = body.of(calls.MatchesAnswer).matches
    return tuple(GrepMatch(calls.text_of(path), line, calls.text_of(text)) for path, line, text in found)


def _changes(body: Body, limits: WorkspaceLimits) -> TreeChanges:
    """The changes. Raises UnsafePath as Workspace.diff, for what the host should have refused too."""
    changes = calls.changes_of(body.of(calls.ListedChanges), body.content)
    _at_most(body.content, limits.changed_bytes)
    if max(len(changes.files), len(changes.deleted)) > 2 * limits.changed_files:
        raise _unlike("has more files than the limits allow")
    check_tree(changes.files)
    for path in changes.deleted:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise _unlike(f"deletes {path[:200]!r}")
    return changes


def _at_most(content: bytes, most: int) -> bytes:
    if len(content) > most:
        raise _unlike(f"has {len(content)} bytes, where at most {most} may be")
    return content


def _unlike(what: str) -> DecodeError:
    return DecodeError(what, b"")

"""What a request of a workspace does at a host, over the ports of its own machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from contracts.base.errors import ArtifactError, InvalidInput, StoreUnavailable
from contracts.messages.sandbox import MAX_BUNDLE_BYTES
from contracts.ports.environments import Environments, PreparedEnvironment
from contracts.ports.sandbox import SandboxLimits
from contracts.ports.trees import TreeBase
from contracts.ports.workspace import (
    NO_ENVIRONMENT,
    CommandLimits,
    Environment,
    NamedEnvironment,
    Preparation,
    Workspace,
    Workspaces,
)
from sandbox_runner.service.admission import check_limits
from sandbox_runner.service.workspaces import calls
from sandbox_runner.service.workspaces.bodies import Unsuited


@dataclass(frozen=True, slots=True)
class Served:
    """What a host opens workspaces with."""

    workspaces: Workspaces
    environments: Environments
    most: SandboxLimits
    """The highest limits that a workspace may ask for."""
    tree_of: Callable[[TreeBase], Awaitable[str]]
    """Gets what a workspace starts from; see TreeStore."""

    async def begin(
        self, call: calls.Call, content: bytes, stack: AsyncExitStack, say: Callable[[str], None]
    ) -> tuple[Workspace | None, calls.Nothing]:
        """Do what a lease begins with; what it takes is released with the stack.

        Raises Unsuited where another host may do it.
        """
        if isinstance(call, calls.PrepareCall):
            await self._get(TreeBase(call.commit))
            return None, await self._prepare(call, stack, say)
        if isinstance(call, calls.OpenCall):
            await self._get(TreeBase(call.commit, call.tree))
            return await self._open(call, content, stack, say)
        raise InvalidInput(f"call {call.call!r}: the workspace is not open; open it first")

    async def _get(self, base: TreeBase) -> None:
        try:
            await self.tree_of(base)
        except (ArtifactError, StoreUnavailable) as error:
            # Who asks has seen it in the store.
            raise Unsuited(
                f"cannot get what the work starts from ({error}); give it the artifact store of the workers: "
                "set MULTI_AGENT_ARTIFACT_STORE to its URL"
            ) from None

    async def _prepare(
        self, call: calls.PrepareCall, stack: AsyncExitStack, say: Callable[[str], None]
    ) -> calls.PreparedAnswer:
        prepared = await stack.enter_async_context(self.environments.prepare(call.commit, say))
        return (
            calls.PreparedAnswer(name=prepared.name, hash=prepared.hash)
            if prepared
            else calls.PreparedAnswer()
        )

    async def _open(
        self, call: calls.OpenCall, content: bytes, stack: AsyncExitStack, say: Callable[[str], None]
    ) -> tuple[Workspace, calls.OpenedAnswer]:
        check_limits(call.limits.of_command(), self.most)
        if call.limits.changed_bytes > MAX_BUNDLE_BYTES:
            most = MAX_BUNDLE_BYTES // 2**20
            raise InvalidInput(
                f"limits.changed_mb: {call.limits.changed_mb} is more than a sandbox host sends, {most}"
            )
        environment = NO_ENVIRONMENT
        if call.environment is not None:
            environment = await self._environment(call.environment, stack, say)
        changes = await asyncio.to_thread(calls.changes_of, call.changes, content)
        workspace = await self.workspaces.open(
            TreeBase(call.commit, call.tree),
            environment,
            call.limits,
            Preparation(changes, tuple(map(calls.text_of, call.read_only))),
        )
        stack.push_async_callback(workspace.close)
        opened = calls.OpenedAnswer(
            backend=workspace.backend, isolation=workspace.isolation, placement=workspace.placement
        )
        return workspace, opened

    async def _environment(
        self, wanted: NamedEnvironment, stack: AsyncExitStack, say: Callable[[str], None]
    ) -> Environment:
        """The environment that is meant: found here, or made here from the same commit."""
        prepared = await stack.enter_async_context(self.environments.prepare(wanted.commit, say))
        if prepared is None or prepared.hash != wanted.hash:
            raise Unsuited(_other(prepared, wanted))
        return prepared.environment

    async def serve(
        self, workspace: Workspace, call: calls.Call, content: bytes
    ) -> tuple[calls.Nothing, bytes]:
        """Do one thing in an open workspace; return the answer and its content."""
        match call:
            case calls.ExecCall():
                limits = CommandLimits(call.wall_seconds, call.output_bytes)
                most = self.most
                wanted = (limits.wall_seconds or most.wall_seconds, limits.output_bytes or most.output_bytes)
                check_limits(replace(most, wall_seconds=wanted[0], output_bytes=wanted[1]), most)
                argv = tuple(map(calls.text_of, call.argv))
                ended = await workspace.exec(call.number, argv, stdin=content, limits=limits)
                answer = calls.ExecAnswer(
                    verdict=ended.verdict,
                    exit_code=ended.exit_code,
                    stdout_size=len(ended.stdout),
                    seconds=ended.seconds,
                )
                return answer, ended.stdout + ended.stderr
            case calls.ReadCall():
                path = calls.text_of(call.path)
                return calls.Nothing(), await workspace.read(path, offset=call.offset, size=call.size)
            case calls.WriteCall():
                await workspace.write(calls.text_of(call.path), content)
                return calls.Nothing(), b""
            case calls.DiffCall():
                return calls.listed(await workspace.diff())
            case calls.ListCall() | calls.GlobCall() | calls.GrepCall():
                return await _look(workspace, call), b""
            case _:
                raise InvalidInput(f"call {call.call!r}: the workspace is open already")


async def _look(workspace: Workspace, call: calls.Searching) -> calls.Nothing:
    raw, text_of = calls.raw, calls.text_of
    match call:
        case calls.ListCall():
            entries = await workspace.list(text_of(call.path))
            return calls.EntriesAnswer(entries=tuple((raw(name), kind, size) for name, kind, size in entries))
        case calls.GlobCall():
            paths = await workspace.glob(text_of(call.pattern))
            return calls.PathsAnswer(paths=tuple(map(raw, paths)))
        case calls.GrepCall():
            found = await workspace.grep(text_of(call.pattern), text_of(call.path), most=call.most)
            return calls.MatchesAnswer(
                matches=tuple((raw(path), line, raw(text)) for path, line, text in found)
            )


def _other(prepared: PreparedEnvironment | None, wanted: NamedEnvironment) -> str:
    has = f"environment {prepared.hash[:12]} ({prepared.name})" if prepared else "no environment"
    return (
        f"makes {has} for commit {wanted.commit[:12]}, where {wanted.hash[:12]} is meant, which another host "
        "made; who tries again has it made anew, and it is the same everywhere when all hosts have the same "
        "Python, package index and MULTI_AGENT_ENVIRONMENT"
    )

"""What a request of a workspace does at a host, over the ports of its own machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from contracts.base.errors import EnvironmentFailed, InvalidInput
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
from sandbox_runner.service.workspaces.bodies import (
    Call,
    DiffCall,
    EntriesAnswer,
    ExecAnswer,
    ExecCall,
    GlobCall,
    GrepCall,
    ListCall,
    MatchesAnswer,
    Nothing,
    OpenCall,
    OpenedAnswer,
    PathsAnswer,
    PrepareCall,
    PreparedAnswer,
    ReadCall,
    WriteCall,
    changes_of,
    listed,
    raw,
    text_of,
)


@dataclass(frozen=True, slots=True)
class Served:
    """What a host opens workspaces with."""

    workspaces: Workspaces
    environments: Environments
    most: SandboxLimits
    """The highest limits that a workspace may ask for."""

    async def begin(
        self, call: Call, content: bytes, stack: AsyncExitStack, say: Callable[[str], None]
    ) -> tuple[Workspace | None, Nothing]:
        """Do what a lease begins with; what it takes is released with the stack."""
        if isinstance(call, PrepareCall):
            prepared = await stack.enter_async_context(self.environments.prepare(call.commit, say))
            answer = PreparedAnswer(name=prepared.name, hash=prepared.hash) if prepared else PreparedAnswer()
            return None, answer
        if not isinstance(call, OpenCall):
            raise InvalidInput(f"call {call.call!r}: the workspace is not open; open it first")
        check_limits(call.limits.of_command(), self.most)
        if call.limits.changed_bytes > MAX_BUNDLE_BYTES:
            most = MAX_BUNDLE_BYTES // 2**20
            raise InvalidInput(
                f"limits.changed_mb: {call.limits.changed_mb} is more than a sandbox host sends, {most}"
            )
        environment = NO_ENVIRONMENT
        if call.environment is not None:
            environment = await self._environment(call.environment, stack, say)
        changes = await asyncio.to_thread(changes_of, call.changes, content)
        workspace = await self.workspaces.open(
            TreeBase(call.commit, call.tree),
            environment,
            call.limits,
            Preparation(changes, tuple(map(text_of, call.read_only))),
        )
        stack.push_async_callback(workspace.close)
        opened = OpenedAnswer(
            backend=workspace.backend, isolation=workspace.isolation, placement=workspace.placement
        )
        return workspace, opened

    async def _environment(
        self, wanted: NamedEnvironment, stack: AsyncExitStack, say: Callable[[str], None]
    ) -> Environment:
        """The environment that is meant: found here, or made here from the same commit."""
        prepared = await stack.enter_async_context(self.environments.prepare(wanted.commit, say))
        if prepared is None or prepared.hash != wanted.hash:
            raise EnvironmentFailed(_other(prepared, wanted))
        return prepared.environment

    async def serve(self, workspace: Workspace, call: Call, content: bytes) -> tuple[Nothing, bytes]:
        """Do one thing in an open workspace; return the answer and its content."""
        match call:
            case ExecCall():
                limits = CommandLimits(call.wall_seconds, call.output_bytes)
                most = self.most
                wanted = (limits.wall_seconds or most.wall_seconds, limits.output_bytes or most.output_bytes)
                check_limits(replace(most, wall_seconds=wanted[0], output_bytes=wanted[1]), most)
                argv = tuple(map(text_of, call.argv))
                ended = await workspace.exec(call.number, argv, stdin=content, limits=limits)
                answer = ExecAnswer(
                    verdict=ended.verdict,
                    exit_code=ended.exit_code,
                    stdout_size=len(ended.stdout),
                    seconds=ended.seconds,
                )
                return answer, ended.stdout + ended.stderr
            case ReadCall():
                return Nothing(), await workspace.read(text_of(call.path), offset=call.offset, size=call.size)
            case WriteCall():
                await workspace.write(text_of(call.path), content)
                return Nothing(), b""
            case DiffCall():
                return listed(await workspace.diff())
            case ListCall() | GlobCall() | GrepCall():
                return await _look(workspace, call), b""
            case _:
                raise InvalidInput(f"call {call.call!r}: the workspace is open already")


async def _look(workspace: Workspace, call: ListCall | GlobCall | GrepCall) -> Nothing:
    match call:
        case ListCall():
            entries = await workspace.list(text_of(call.path))
            return EntriesAnswer(entries=tuple((raw(name), kind, size) for name, kind, size in entries))
        case GlobCall():
            paths = await workspace.glob(text_of(call.pattern))
            return PathsAnswer(paths=tuple(map(raw, paths)))
        case GrepCall():
            found = await workspace.grep(text_of(call.pattern), text_of(call.path), most=call.most)
            return MatchesAnswer(matches=tuple((raw(path), line, raw(text)) for path, line, text in found))


def _other(prepared: PreparedEnvironment | None, wanted: NamedEnvironment) -> str:
    has = f"environment {prepared.hash[:12]} ({prepared.name})" if prepared else "no environment"
    return (
        f"this sandbox host makes {has} for commit {wanted.commit[:12]}, where {wanted.hash[:12]} is meant, "
        "which another host made; give all hosts the same Python, package index and MULTI_AGENT_ENVIRONMENT"
    )

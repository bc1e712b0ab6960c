"""The sandboxes in which a task has its tree: one that lasts as long as the task, and fresh ones."""

from __future__ import annotations

import asyncio
import glob
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext

from agents.sdk.changed_tree import Changes
from contracts.base.errors import ArtifactError, InvalidInput, LimitExceeded
from contracts.base.paths import check_path
from contracts.ports.artifacts import CommitStore
from contracts.ports.sandbox import SandboxRequest, SandboxResult
from contracts.ports.trees import NO_CHANGES, TreeBase, TreeChanges, TreeFile
from contracts.ports.workspace import (
    NO_ENVIRONMENT,
    USUAL_LIMITS,
    CommandLimits,
    Environment,
    Preparation,
    Workspace,
    WorkspaceLimits,
    Workspaces,
)

_SEVERAL = 1_000_000
_FIRST = 1


def _nothing() -> AbstractAsyncContextManager[Environment]:
    return nullcontext(NO_ENVIRONMENT)


class Workplace:
    """Opens sandboxes for one task. Leaving the context ends those that are open, whatever happened.

    prepare: gives what programs find beside the tree, as long as its context lasts. Nothing is prepared for a
    task that runs no program.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        commits: CommitStore,
        limits: WorkspaceLimits = USUAL_LIMITS,
        prepare: Callable[[], AbstractAsyncContextManager[Environment]] = _nothing,
    ) -> None:
        self._workspaces, self._commits = workspaces, commits
        self._limits, self._prepare = limits, prepare
        self._opening, self._preparing = asyncio.Lock(), asyncio.Lock()
        self._environment: Environment | None = None
        self._open = AsyncExitStack()
        self._lasting: Workspace | None = None
        self._left = False

    async def __aenter__(self) -> Workplace:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._left = True
        async with self._opening, self._preparing:
            await self._open.aclose()

    async def environment(self) -> Environment:
        """What programs find beside the tree, prepared by the first call. Raises what `prepare` raises."""
        async with self._preparing:
            self._check_open()
            if self._environment is None:
                self._environment = await self._open.enter_async_context(self._prepare())
            return self._environment

    async def lasting(self, base: TreeBase) -> Workspace:
        """Return the task's own workspace, opened at `base` by the first call. Raises as Workspaces.open."""
        async with self._opening:
            self._check_open()
            if self._lasting is None:
                environment = await self.environment()
                self._lasting = await self._workspaces.open(base, environment, self._limits)
                self._open.push_async_callback(self._lasting.close)
        return self._lasting

    async def again(self, base: TreeBase) -> Workspace:
        """Return the task's own workspace anew, opened at `base`; the one of before ends."""
        async with self._opening:
            before, self._lasting = self._lasting, None
            if before is not None:
                await before.close()
        return await self.lasting(base)

    @asynccontextmanager
    async def fresh(self, base: TreeBase) -> AsyncIterator[Workspace]:
        """Open a workspace that nothing has run in; it ends with the context. Raises as Workspaces.open.

        No other one is opened within the context: whoever does so may wait for itself at a sandbox host.
        """
        workspace = await self._workspaces.open(base, await self.environment(), self._limits, brief=True)
        try:
            yield workspace
        finally:
            await workspace.close()

    async def run(self, start: str, commit: str, changes: Changes, request: SandboxRequest) -> SandboxResult:
        """Run a program in a fresh sandbox, over the tree of `commit` with `changes`.

        start: the commit that the workflow started from, which has a checkout already and is HEAD inside.
        Of the request's limits those of time and output count. Raises as Sandbox.run and Workspaces.open.
        """
        base, before = await self._based(start, commit)
        preparation = Preparation(_laid_over(before, changes), request.read_only)
        environment = await self.environment()
        workspace = await self._workspaces.open(base, environment, self._limits, preparation, brief=True)
        try:
            limits = CommandLimits(request.limits.wall_seconds, request.limits.output_bytes)
            ended = await workspace.exec(_FIRST, request.argv, stdin=request.stdin, limits=limits)
            collected = {path: content async for path, content in self._collect(workspace, request.collect)}
        finally:
            await workspace.close()
        return SandboxResult(
            ended.verdict,
            ended.exit_code,
            ended.stdout,
            ended.stderr,
            collected,
            ended.seconds,
            workspace.backend,
            workspace.isolation,
        )

    def _check_open(self) -> None:
        if self._left:
            raise InvalidInput("the task has ended, and its workspace with it")

    async def _based(self, start: str, commit: str) -> tuple[TreeBase, TreeChanges]:
        """What to open, and what makes it the tree of the commit: a checkout of each would take long."""
        if start == commit:
            return TreeBase(commit), NO_CHANGES
        limits = self._limits
        try:
            found = await self._commits.changes(start, commit, max_bytes=limits.changed_bytes // 2)
        except ArtifactError:
            return TreeBase(commit), NO_CHANGES
        small = max(len(found.files), len(found.deleted)) <= limits.changed_files // 2
        return (TreeBase(start), found) if small else (TreeBase(commit), NO_CHANGES)

    async def _collect(
        self, workspace: Workspace, patterns: Iterable[str]
    ) -> AsyncIterator[tuple[str, bytes]]:
        room = self._limits.changed_bytes
        for pattern in patterns:
            wanted = glob.escape(pattern) + ("**" if pattern.endswith("/") else "")
            for path in await workspace.glob(wanted):
                content = await _read(workspace, check_path(path), room)
                room -= len(content)
                yield path, content


def _laid_over(before: TreeChanges, changes: Changes) -> TreeChanges:
    files = {path: file for path, file in before.files.items() if path not in changes}
    for path, content in changes.items():
        if content is not None:
            known = before.files.get(path)
            files[path] = TreeFile(content, executable=known is not None and known.executable)
    gone = (path for path, content in changes.items() if content is None)
    return TreeChanges(tuple(dict.fromkeys((*before.deleted, *gone))), files)


async def _read(workspace: Workspace, path: str, most: int) -> bytes:
    content = b""
    while part := await workspace.read(path, offset=len(content), size=_SEVERAL):
        content += part
        if len(content) > most:
            raise LimitExceeded(f"collect {path!r}: more than {most} bytes are left for it; collect less")
    return content

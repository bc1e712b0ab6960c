"""The workspace port over a session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from contracts.base.errors import InvalidInput, LimitExceeded
from contracts.base.paths import MAX_PATH_BYTES, check_new_path
from contracts.ports.sandbox import Isolation
from contracts.ports.trees import Checkout, TreeChanges, TreeStore
from contracts.ports.workspace import (
    MADE_BY_PROGRAMS,
    CommandLimits,
    ExecResult,
    FolderEntry,
    GrepMatch,
    Placement,
    WorkspaceLimits,
)
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.engine.payload import GuestSetup, guest_limits
from sandbox_runner.engine.pool import WarmSandbox
from sandbox_runner.engine.protocol import Transcript, verdict_of
from sandbox_runner.engine.tar_reader import read_tree_files
from sandbox_runner.guest.operations import TOO_MUCH
from sandbox_runner.guest.wire import LENGTH
from sandbox_runner.workspace.commands import NumberedCommands
from sandbox_runner.workspace.private import Privacy
from sandbox_runner.workspace.session import GuestSession, answer_of

_OPERATION_SECONDS: Final = 60.0
_OVERHEAD_BYTES_PER_FILE: Final = 2_048 + 2 * MAX_PATH_BYTES
_LISTED_BYTES: Final = 32 * 1024 * 1024
_ORDINARY: Final = 1_000_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class WorkspaceParts:
    """What a workspace is made of, once its sandbox has started and placed the tree."""

    backend: str
    isolation: Isolation
    placement: Placement
    sandbox: WarmSandbox
    session: GuestSession
    setup: GuestSetup
    limits: WorkspaceLimits
    trees: TreeStore
    checkout: Checkout
    privacy: Privacy
    holds: AsyncExitStack
    """What is released when the sandbox has ended."""


class SandboxWorkspace:
    """The port, over one sandbox."""

    def __init__(self, parts: WorkspaceParts) -> None:
        self.backend, self.isolation, self.placement = parts.backend, parts.isolation, parts.placement
        self._parts = parts
        self._limits, self._session = parts.limits, parts.session
        self._privacy = parts.privacy
        self._commands = NumberedCommands()
        self._turn = asyncio.Lock()
        self._calls: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Future[None] | None = None

    async def exec(
        self, number: int, argv: Sequence[str], *, stdin: bytes = b"", limits: CommandLimits | None = None
    ) -> ExecResult:
        check_argv(argv)
        check_positive(limits)
        return await self._commands.run(
            number, argv, stdin, lambda: self._in_turn(lambda: self._exec(number, argv, stdin, limits))
        )

    async def _exec(
        self, number: int, argv: Sequence[str], stdin: bytes, limits: CommandLimits | None
    ) -> ExecResult:
        bounds = self._limits.of_command(limits)
        command = {"argv": list(argv), "limits": guest_limits(bounds, self._parts.setup)}
        transcript = await self._session.ask(
            command, stdin, seconds=bounds.wall_seconds, most=bounds.output_bytes
        )
        oom = await self._parts.sandbox.killed_for_memory(transcript)
        verdict, code = verdict_of(transcript, oom)
        seconds = float((transcript.result or {}).get("seconds", 0.0))
        out, err = bytes(transcript.stdout), bytes(transcript.stderr)
        if self._privacy.words:
            out, err = [await asyncio.to_thread(self._privacy.hide, one) for one in (out, err)]
        return ExecResult(number, verdict, code, out, err, seconds)

    async def read(self, path: str, *, offset: int = 0, size: int | None = None) -> bytes:
        if offset < 0 or (size is not None and size < 0):
            raise InvalidInput(f"offset {offset}, size {size}: must not be negative")
        most = self._limits.output_bytes if size is None else min(size, self._limits.output_bytes)
        wanted = self._privacy.check(_relative(path))
        return await self._ask("read", path, most=most, path=wanted, offset=offset, size=most)

    async def write(self, path: str, content: bytes) -> None:
        await self._ask("write", path, stdin=content, path=self._privacy.check(check_new_path(path)))

    async def list(self, path: str = "") -> tuple[FolderEntry, ...]:
        found = await self._ask("list", path, most=_LISTED_BYTES, path=_relative(path))
        return tuple(FolderEntry(*entry) for entry in json.loads(found))

    async def glob(self, pattern: str) -> tuple[str, ...]:
        found = await self._ask("glob", pattern, most=_LISTED_BYTES, pattern=_relative(pattern))
        return tuple(path for path in json.loads(found) if not self._privacy.holds(path))

    async def grep(self, pattern: str, path: str = "", *, most: int = 200) -> tuple[GrepMatch, ...]:
        found = await self._ask(
            "grep", path, most=_LISTED_BYTES, pattern=pattern, path=_relative(path), lines=most
        )
        matches = (GrepMatch(*match) for match in json.loads(found))
        return tuple(match for match in matches if not self._privacy.holds(match.path))

    async def diff(self) -> TreeChanges:
        limits = self._limits
        most = limits.changed_bytes + _OVERHEAD_BYTES_PER_FILE * (limits.changed_files + 10)
        arguments = {
            "most_bytes": limits.changed_bytes,
            "most_files": limits.changed_files,
            "path_bytes": MAX_PATH_BYTES,
            "passed_over": sorted(MADE_BY_PROGRAMS),
        }
        transcript = await self._called(lambda: self._operate("changes", arguments, b"", most))
        if transcript.result is not None and transcript.result["code"] == TOO_MUCH:
            why = transcript.stderr.decode("utf-8", "replace")
            raise LimitExceeded(f"the workspace's changes: {why}")
        answer = answer_of(transcript, "the workspace's changes")
        del transcript
        return self._privacy.without(await asyncio.to_thread(_changes, answer, limits))

    async def snapshot(self) -> str:
        return await self._parts.trees.write_tree(self._parts.checkout.tree, await self.diff())

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._end())
        await run_to_completion(_ended(self._closing))

    async def _end(self) -> None:
        self._session.end()
        try:
            await self._parts.sandbox.end()
        finally:
            # With the sandbox gone each of them ends at once.
            if self._calls:
                await asyncio.wait(self._calls)
            await self._commands.end()
            await self._parts.holds.aclose()

    async def _ask(
        self, operation: str, what: str, *, stdin: bytes = b"", most: int = _ORDINARY, **arguments: Any
    ) -> bytes:
        transcript = await self._called(lambda: self._operate(operation, arguments, stdin, most))
        return answer_of(transcript, f"{operation} {what!r}")

    async def _operate(
        self, operation: str, arguments: dict[str, Any], stdin: bytes, most: int
    ) -> Transcript:
        seconds = min(_OPERATION_SECONDS, self._limits.command_seconds)
        bounds = self._limits.of_command(CommandLimits(seconds, most))
        limits = guest_limits(bounds, self._parts.setup)
        command = {"operation": operation, "arguments": arguments, "limits": limits}
        return await self._session.ask(command, stdin, seconds=seconds, most=most)

    async def _called(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Make a call to its end, also when the caller is cancelled: the next one needs its answer read."""
        task = asyncio.ensure_future(self._in_turn(call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return await asyncio.shield(task)

    async def _in_turn(self, call: Callable[[], Awaitable[_T]]) -> _T:
        async with self._turn:
            return await call()


async def _ended(work: Awaitable[None]) -> None:
    await work


def _changes(answer: bytes, limits: WorkspaceLimits) -> TreeChanges:
    (length,) = LENGTH.unpack(answer[: LENGTH.size])
    start = LENGTH.size + length
    files = read_tree_files(
        memoryview(answer)[start:],
        max_bytes=limits.changed_bytes,
        max_members=2 * limits.changed_files,
        links=True,
    )
    return TreeChanges(tuple(json.loads(answer[LENGTH.size : start])), files)


def _relative(path: str) -> str:
    if "\0" in path or path.startswith("/") or ".." in path.split("/"):
        raise InvalidInput(f"path {path[:200]!r}: must be relative to the tree's root, without '..'")
    return path


def check_argv(argv: Sequence[str]) -> None:
    """Raise InvalidInput for what is no command."""
    if isinstance(argv, str) or not argv or not argv[0] or any("\0" in word for word in argv):
        raise InvalidInput(f"argv {argv!r}: must be the words of a command, without a NUL character")


def check_positive(limits: object) -> None:
    """Raise InvalidInput for a limit that is not above 0."""
    for name in getattr(limits, "__slots__", ()):
        value = getattr(limits, name)
        if value is not None and value <= 0:
            raise InvalidInput(f"limits.{name}: must be above 0, is {value}")

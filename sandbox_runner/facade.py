"""The sandbox for callers without asyncio."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.base.loop_thread import LoopThread
from contracts.ports.sandbox import Sandbox, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner.choose import choose_sandbox
from sandbox_runner.engine.settings import SandboxSettings


@dataclass(slots=True)
class SandboxHandle:
    """A set of files with limits: what `execute` starts from, and what it leaves behind."""

    container_id: str
    limits: SandboxLimits
    files: dict[str, bytes] = field(default_factory=dict)


class SandboxRunner:
    """Synchronous facade of the Sandbox port; also a context manager. May be used from any thread.

    Every `execute` is a fresh sandbox over the handle's files: processes never live from one to the next.
    """

    def __init__(self, settings: SandboxSettings | None = None) -> None:
        self._settings = settings or SandboxSettings()
        self._sandbox: Sandbox | None = None
        self._numbers = itertools.count(1)
        self._thread = LoopThread()

    def create_container(
        self, files: Mapping[str, bytes] | None = None, limits: SandboxLimits | None = None
    ) -> SandboxHandle:
        """A handle over `files` (relative path -> content). Nothing runs yet."""
        name = f"sandbox-{next(self._numbers)}"
        return SandboxHandle(name, limits or SandboxLimits(), dict(files or {}))

    def execute(
        self, handle: SandboxHandle, argv: Sequence[str], *, stdin: bytes = b"", collect: Sequence[str] = ()
    ) -> SandboxResult:
        """Run a command over the handle's files; what `collect` names comes back into the handle.

        Raises SandboxUnavailable, UnsafePath.
        """
        request = SandboxRequest(
            argv=tuple(argv),
            files=dict(handle.files),
            stdin=stdin,
            collect=tuple(collect),
            limits=handle.limits,
            labels={"multi-agent.container": handle.container_id},
        )
        result = self._thread.run(self._execute(request))
        handle.files.update(result.files)
        return result

    async def _execute(self, request: SandboxRequest) -> SandboxResult:
        if self._sandbox is None:
            self._sandbox = await choose_sandbox(self._settings)
        return await self._sandbox.run(request)

    def close(self) -> None:
        """Release the engine's connection and the thread."""
        if self._sandbox is not None:
            self._thread.run(self._sandbox.close())
            self._sandbox = None
        self._thread.close()

    def __enter__(self) -> SandboxRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

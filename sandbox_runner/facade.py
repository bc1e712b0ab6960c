"""The sandbox for callers without asyncio."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from contracts.ports import Sandbox, SandboxLimits, SandboxRequest, SandboxResult
from sandbox_runner.choose import choose_sandbox
from sandbox_runner.settings import SandboxSettings

_T = TypeVar("_T")


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
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

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
        result = self._call(self._execute(request))
        handle.files.update(result.files)
        return result

    async def _execute(self, request: SandboxRequest) -> SandboxResult:
        if self._sandbox is None:
            self._sandbox = await choose_sandbox(self._settings)
        return await self._sandbox.run(request)

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        # The loop lives in a thread of its own for as long as the facade: a launcher takes the end of the
        # thread that started it for the death of its parent.
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox", daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Release the engine's connection and the thread."""
        if self._sandbox is not None:
            self._call(self._sandbox.close())
            self._sandbox = None
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def __enter__(self) -> SandboxRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

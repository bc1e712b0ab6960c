"""One execution: a waiting sandbox or a fresh one, the conversation with it, its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable

from contracts.base.failpoints import failpoint
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult
from sandbox_runner.engine.conversation import NeverStarted, converse, judge, to_the_end
from sandbox_runner.engine.payload import Job
from sandbox_runner.engine.pool import Pool, WarmSandbox


class Executions:
    """Executions of one backend, `max_concurrent` at one time; more wait for a slot."""

    def __init__(self, backend: str, isolation: Isolation, pool: Pool, max_concurrent: int) -> None:
        self._backend = backend
        self._isolation = isolation
        self._pool = pool
        self._slots = asyncio.Semaphore(max_concurrent)

    async def run(
        self, request: SandboxRequest, job: Job, key: Hashable, start: Callable[[], Awaitable[WarmSandbox]]
    ) -> SandboxResult:
        """Run the job in a waiting sandbox with this key; where there is none, or it turns out to have died
        before the program started, in one that `start` starts. Raises SandboxUnavailable, InvalidInput."""
        async with self._slots:
            waiting = await self._pool.acquire(key)
            if waiting is not None:
                with contextlib.suppress(NeverStarted):
                    return await self._use(waiting, request, job)
            return await self._use(await start(), request, job)

    async def _use(self, started: WarmSandbox, request: SandboxRequest, job: Job) -> SandboxResult:
        try:
            failpoint("sandbox.started")
            await started.confine(request.limits)
            heard = await converse(started, request, job)
            oom = await started.killed_for_memory(heard)
            result = judge(heard, request, backend=self._backend, isolation=self._isolation, oom=oom)
            failpoint("sandbox.judged")
        finally:
            await to_the_end(started.end())
        return result

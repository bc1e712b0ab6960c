"""Runs one job: gets a waiting sandbox or starts one, runs the job in it, and removes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable

from contracts.base.errors import SandboxUnavailable
from contracts.base.failpoints import failpoint
from contracts.base.processes.shortage import shortage_as
from contracts.ports.sandbox import Isolation, SandboxRequest, SandboxResult
from sandbox_runner.engine.cancellation import run_to_completion
from sandbox_runner.engine.payload import Job
from sandbox_runner.engine.pool import Pool, WarmSandbox
from sandbox_runner.engine.protocol import NeverStarted, judge, run_job


class Executions:
    """Runs the jobs of one backend, at most `max_concurrent` at one time; further jobs wait for a slot."""

    def __init__(self, backend: str, isolation: Isolation, pool: Pool, max_concurrent: int) -> None:
        self._backend = backend
        self._isolation = isolation
        self._pool = pool
        self._slots = asyncio.Semaphore(max_concurrent)

    async def run(
        self, request: SandboxRequest, job: Job, key: Hashable, start: Callable[[], Awaitable[WarmSandbox]]
    ) -> SandboxResult:
        """Run the job in a waiting sandbox with this key, else in one that `start` starts.

        A fresh one is started too when the waiting one fails before the program starts.
        Raises SandboxUnavailable, InvalidInput.
        """
        with shortage_as(SandboxUnavailable):
            return await self._run(request, job, key, start)

    async def _run(
        self, request: SandboxRequest, job: Job, key: Hashable, start: Callable[[], Awaitable[WarmSandbox]]
    ) -> SandboxResult:
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
            transcript = await run_job(started, request, job)
            oom = await started.killed_for_memory(transcript)
            result = await asyncio.to_thread(
                judge, transcript, request, backend=self._backend, isolation=self._isolation, oom=oom
            )
            failpoint("sandbox.judged")
        finally:
            await run_to_completion(started.end())
        return result

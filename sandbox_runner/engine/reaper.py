"""Removes, at regular intervals, what dead processes left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from contracts.base.errors import SandboxUnavailable
from sandbox_runner.engine.cancellation import run_to_completion

REAP_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class Reaper:
    """Awaits `reap` every ten seconds. Logs the first failure in a row, and the first success after it."""

    def __init__(self, backend: str, reap: Callable[[], Awaitable[int]]) -> None:
        self._backend = backend
        self._reap = reap
        self._task: asyncio.Task[None] | None = None
        self._failing = False

    def start(self, *, at_once: bool = False) -> None:
        """Start on the running loop, unless started already. `at_once`: reap before the first pause."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(0.0 if at_once else REAP_SECONDS))

    async def _work(self, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            await run_to_completion(self.once())
            pause = REAP_SECONDS

    async def once(self) -> None:
        """Reap now. A failure is logged, not raised."""
        try:
            count = await self._reap()
        except SandboxUnavailable as error:
            if not self._failing:
                _log.warning("reaper_failed", backend=self._backend, error=str(error))
            self._failing = True
            return
        if self._failing:
            _log.info("reaper_recovered", backend=self._backend)
        self._failing = False
        if count:
            _log.info("orphans_removed", backend=self._backend, count=count)

    async def close(self) -> None:
        """Stop, after the reaping that is under way has ended."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._task = None

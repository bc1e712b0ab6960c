"""Retries when a model is temporarily unavailable."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from contracts.base.errors import ModelUnavailable
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.layers.wrapper import Wrapper

_log = structlog.get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to retry."""

    max_attempts: int = 5
    """The limit of attempts, with the first."""
    total_seconds: float = 300.0
    """No attempt starts later than this after the first."""
    first_wait_seconds: float = 1.0
    """The upper limit of the first wait. It doubles with every attempt."""
    max_wait_seconds: float = 30.0
    """The upper limit of any wait that the service did not ask for."""

    def wait(self, attempt: int, retry_after: float | None, jitter: float) -> float:
        """Seconds until the next attempt, the last half of which goes by `jitter`, 0.0 to 1.0."""
        doubled = self.first_wait_seconds * 2.0 ** min(attempt - 1, 30)
        half = min(self.max_wait_seconds, doubled) / 2
        return max(half, retry_after or 0.0) + half * jitter


class Retrying(Wrapper):
    """Retries after ModelUnavailable, and after no other error.

    The wait doubles from attempt to attempt; half of it is random, and it is never shorter than the error's
    `retry_after`. When the policy does not allow the wait, the last error is raised at once. As long as the
    service asks one caller to wait, all others wait too, which is no attempt of theirs.
    """

    def __init__(
        self,
        inner: ModelClient,
        policy: RetryPolicy,
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._policy = policy
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._paused_until = 0.0
        """Until when the service asks to be left alone."""

    async def complete(self, request: ModelRequest) -> ModelResponse:
        deadline = self._clock() + self._policy.total_seconds
        attempt = 1
        while True:
            await self._pause(deadline)
            try:
                return await self._inner.complete(request)
            except ModelUnavailable as error:
                self._paused_until = max(self._paused_until, self._clock() + (error.retry_after or 0.0))
                wait = self._policy.wait(attempt, error.retry_after, self._jitter())
                if attempt >= self._policy.max_attempts or self._clock() + wait >= deadline:
                    raise
                _log.warning(
                    "model_retry",
                    model=self.name,
                    purpose=request.purpose,
                    attempt=attempt,
                    wait_seconds=round(wait, 2),
                    reason=str(error),
                )
            await self._sleep(wait)
            attempt += 1

    async def _pause(self, deadline: float) -> None:
        while (left := self._paused_until - self._clock()) > 0:
            if self._clock() + left >= deadline:
                raise ModelUnavailable(f"model {self.name}: its service asks to wait {left:.0f} s", left)
            # Not all at the same moment.
            await self._sleep(left + self._policy.first_wait_seconds * self._jitter())

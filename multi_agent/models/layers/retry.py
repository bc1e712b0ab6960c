"""Asking again when the model cannot answer now."""

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
    """How often, and for how long, to try again. No attempt starts `total_seconds` after the first."""

    max_attempts: int = 5
    total_seconds: float = 300.0
    first_wait_seconds: float = 1.0
    most_wait_seconds: float = 30.0


class Retrying(Wrapper):
    """Tries again after ModelUnavailable, and after nothing else.

    The wait doubles from attempt to attempt, half of it random, and is never shorter than `retry_after`. When
    the policy leaves no room for the wait, the last error is raised at once with its `retry_after`.
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

    async def complete(self, request: ModelRequest) -> ModelResponse:
        deadline = self._clock() + self._policy.total_seconds
        attempt = 1
        while True:
            try:
                return await self._inner.complete(request)
            except ModelUnavailable as error:
                wait = self._wait(attempt, error.retry_after)
                if attempt >= self._policy.max_attempts or self._clock() + wait >= deadline:
                    raise
                _log.warning(
                    "model.retry",
                    model=self.name,
                    purpose=request.purpose,
                    attempt=attempt,
                    wait_seconds=round(wait, 2),
                    reason=str(error),
                )
            await self._sleep(wait)
            attempt += 1

    def _wait(self, attempt: int, retry_after: float | None) -> float:
        doubled = self._policy.first_wait_seconds * 2.0 ** min(attempt - 1, 30)
        half = min(self._policy.most_wait_seconds, doubled) / 2
        return max(half, retry_after or 0.0) + half * self._jitter()

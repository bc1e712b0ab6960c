"""Limits how often a service is asked."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.layers.wrapper import Wrapper

_MINUTE: Final = 60.0

Sleep = Callable[[float], Awaitable[None]]


class RateLimited(Wrapper):
    """Lets this process send at most `per_minute` requests in any 60 seconds; the others wait in order.

    Retries by an inner layer are not counted: they wait for their own backoff.
    """

    def __init__(
        self,
        inner: ModelClient,
        per_minute: int,
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._started: deque[float] = deque(maxlen=per_minute)
        self._turn = asyncio.Lock()
        self._sleep = sleep
        self._clock = clock

    async def complete(self, request: ModelRequest) -> ModelResponse:
        async with self._turn:
            while len(self._started) == self._started.maxlen:
                wait = self._started[0] + _MINUTE - self._clock()
                if wait <= 0:
                    break
                await self._sleep(wait)
            self._started.append(self._clock())
        return await self._inner.complete(request)

"""Not asking more often than a service allows."""

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
    """At most `per_minute` requests in any 60 seconds, by this process; the others wait in order.

    A retry inside takes no new place: it waits by its own backoff.
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

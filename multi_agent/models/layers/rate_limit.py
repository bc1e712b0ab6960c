"""Limits how often a service is asked."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.layers.wrapper import Wrapper

MINUTE: Final = 60.0

Sleep = Callable[[float], Awaitable[None]]


class RequestWindow(Protocol):
    """Counts the requests of a minute."""

    def reserve(self, now: float) -> float:
        """Reserve one request at this monotonic time. 0.0, or the seconds after which to ask again."""


class LocalWindow:
    """Counts for one client."""

    def __init__(self, per_minute: int) -> None:
        self._started: deque[float] = deque(maxlen=per_minute)

    def reserve(self, now: float) -> float:
        """See RequestWindow."""
        if len(self._started) == self._started.maxlen and (wait := self._started[0] + MINUTE - now) > 0:
            return wait
        self._started.append(now)
        return 0.0


class RateLimited(Wrapper):
    """Sends as many requests as the window allows in any 60 seconds; the others wait in order.

    Retries by an inner layer are not counted: they wait for their own backoff.
    """

    def __init__(
        self,
        inner: ModelClient,
        window: RequestWindow,
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._window = window
        self._turn = asyncio.Lock()
        self._sleep = sleep
        self._clock = clock

    async def complete(self, request: ModelRequest) -> ModelResponse:
        async with self._turn:
            while wait := self._window.reserve(self._clock()):
                await self._sleep(wait)
        return await self._inner.complete(request)

"""Limits how often a service is asked, and for how much."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from contracts.base.errors import ModelRejected, ModelUnavailable
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from contracts.ports.rates import MINUTE, Rates, RateWindow, Reservation, Used
from multi_agent.models.layers.most import most_tokens
from multi_agent.models.layers.wrapper import Wrapper

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Counted:
    at: float
    tokens: int


class LocalWindow:
    """A RateWindow of one client."""

    def __init__(self, rates: Rates, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._clock = clock
        self._counted: deque[_Counted] = deque()
        self._gone = 0
        """How many were counted before those that are."""

    async def reserve(self, tokens: int) -> Reservation:
        """See RateWindow."""
        now, tokens = self._clock(), self._rates.bounded(tokens)
        while self._counted and self._counted[0].at + MINUTE <= now:
            self._counted.popleft()
            self._gone += 1
        used = [Used(one.at + MINUTE, 1, one.tokens) for one in self._counted]
        if wait := self._rates.wait(used, tokens, now):
            return Reservation(wait)
        self._counted.append(_Counted(now, tokens))
        return Reservation(0.0, self._gone + len(self._counted) - 1, tokens)

    async def settle(self, held: Reservation, tokens: int) -> None:
        """See RateWindow."""
        if held.place >= self._gone:
            self._counted[held.place - self._gone].tokens = tokens

    async def close(self) -> None:
        """Do nothing: no resource is held."""


class RateLimited(Wrapper):
    """Sends as much as the window allows in any 60 seconds; other requests wait in order.

    Every try counts. Tokens are reserved by an upper bound, and corrected when the answer says how many they
    were; where nobody says it, the bound stays. What the service turned away has used none.
    """

    def __init__(
        self,
        inner: ModelClient,
        window: RateWindow,
        *,
        most_output: int | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`most_output`: the limit of output tokens where it is not the request's own."""
        super().__init__(inner)
        self._window = window
        self._most_output = most_output
        self._turn = asyncio.Lock()
        self._sleep = sleep

    async def complete(self, request: ModelRequest) -> ModelResponse:
        most = most_tokens(request, self._most_output).all
        async with self._turn:
            while (held := await self._window.reserve(most)).wait:
                await self._sleep(held.wait)
        try:
            response = await self._inner.complete(request)
        except (ModelRejected, ModelUnavailable) as error:
            if isinstance(error, ModelRejected) or error.retry_after is not None:
                await self._window.settle(held, 0)
            raise
        if used := response.input_tokens + response.output_tokens:
            await self._window.settle(held, used)
        return response

    async def close(self) -> None:
        await super().close()
        await self._window.close()

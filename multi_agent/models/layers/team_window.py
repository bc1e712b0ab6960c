"""Counts for a whole team, and for this process where that cannot be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from contracts.base.errors import BusUnavailable
from contracts.ports.rates import RateWindow, Reservation

_ALONE_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class TeamWindow:
    """A RateWindow that asks `team`, and `own` as long as that cannot be reached.

    Work does not wait for a server that only counts, and the limits still hold for what `own` counts.
    """

    def __init__(
        self, team: RateWindow, own: RateWindow, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._team = team
        self._own = own
        self._clock = clock
        self._is_alone = False
        self._asks_again = float("-inf")
        """When the team's server, which may take long to say nothing, is asked again."""

    async def reserve(self, tokens: int) -> Reservation:
        """See RateWindow."""
        if self._clock() < self._asks_again:
            return await self._alone(tokens)
        try:
            held = await self._team.reserve(tokens)
        except BusUnavailable as error:
            if not self._is_alone:
                _log.warning("rates_counted_alone", reason=str(error))
            self._is_alone = True
            self._asks_again = self._clock() + _ALONE_SECONDS
            return await self._alone(tokens)
        self._is_alone = False
        return held

    async def _alone(self, tokens: int) -> Reservation:
        return replace(await self._own.reserve(tokens), alone=True)

    async def settle(self, held: Reservation, tokens: int) -> None:
        """See RateWindow."""
        if held.alone:
            await self._own.settle(held, tokens)
            return
        with suppress(BusUnavailable):
            await self._team.settle(held, tokens)

    async def close(self) -> None:
        """See RateWindow."""
        await self._team.close()
        await self._own.close()

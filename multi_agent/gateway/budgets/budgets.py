"""Keeps callers within the limits of their keys: beside the event loop, with one ledger for all gateways."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from contracts.base.errors import Unavailable
from multi_agent.gateway.budgets.bound import NOTHING, RequestBound
from multi_agent.gateway.budgets.ledger import WHAT, KeyLedger, KeyRefused
from multi_agent.gateway.budgets.limits import (
    MINUTE,
    KeyAmount,
    KeyLimits,
    LimitHit,
    left_of,
    shown,
    until_tomorrow,
)
from multi_agent.models.prices import Price
from multi_agent.models.wire.canonical import WireUsage

_log = structlog.get_logger(__name__)


class OverKeyLimit(Exception):
    """A request that its key may not make now, or never."""

    def __init__(self, message: str, hit: LimitHit | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.hit = hit
        """None where a limit in dollars cannot be kept, since no price is known."""
        self.retry_after = retry_after
        """In seconds, for a limit of a minute."""


@dataclass(slots=True)
class KeyCharge:
    """What a request took, filled in as it goes on; at first nobody knows."""

    usage: WireUsage | None = None
    is_free: bool = False
    """Whether the service took nothing, since it answered with an error or was not reached."""


class KeyBudgets:
    """The limits of all keys. Used in one event loop; the ledger is in a thread of its own."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        left: Callable[[str, str, float], None] = lambda *_: None,
    ) -> None:
        """The ledger is opened when the first key with a limit asks.

        clock: seconds since 1970.
        left: told the name of a key, of a limit, and what is left of it; called in any thread.
        """
        self._path = path
        self._clock = clock
        self._left = left
        self._ledger: KeyLedger | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")

    def check(self) -> None:
        """Raise NotConfigured for a ledger that cannot be used."""
        self._thread.submit(self._opened).result()

    def close(self) -> None:
        """Settle what has ended, and close the ledger."""
        self._thread.shutdown()
        if self._ledger is not None:
            self._ledger.close()

    @asynccontextmanager
    async def charged(
        self, key: str, limits: KeyLimits, price: Price, bound: RequestBound = NOTHING
    ) -> AsyncIterator[KeyCharge]:
        """Room for one request while the block runs; what it took is what the charge says at the end.

        Raises OverKeyLimit, and Unavailable where the ledger cannot be written.
        """
        charge = KeyCharge()
        if not limits.limits:
            yield charge
            return
        if limits.counts_dollars and bound.made and (price.input_usd is None or price.output_usd is None):
            raise OverKeyLimit(
                f"the key {key} has a limit in dollars, and no price is known for this model; the operator "
                "must set MULTI_AGENT_INPUT_PRICE and MULTI_AGENT_OUTPUT_PRICE"
            )
        number = await self._taken(key, limits, bound.asked(price))
        try:
            yield charge
        finally:
            took = None
            if charge.is_free:
                took = KeyAmount()
            elif (usage := charge.usage) is not None:
                took = KeyAmount(usage.given + usage.made, bound.cost(price, usage))
            # Nobody waits for it; whoever asks next comes after it.
            self._thread.submit(self._settle, key, limits, number, took)

    async def _taken(self, key: str, limits: KeyLimits, asked: KeyAmount) -> int:
        taking = self._thread.submit(self._take, key, limits, asked)
        try:
            found = await asyncio.shield(asyncio.wrap_future(taking))
        except asyncio.CancelledError:
            self._thread.submit(self._give_back, taking)
            raise
        except sqlite3.Error as error:
            raise Unavailable(f"{WHAT} cannot be written: {error}") from None
        if isinstance(found, KeyRefused):
            raise _over(key, found, self._clock())
        return found

    def _opened(self) -> KeyLedger:
        if self._ledger is None:
            self._ledger = KeyLedger(self._path)
        return self._ledger

    def _take(self, key: str, limits: KeyLimits, asked: KeyAmount) -> int | KeyRefused:
        found = self._opened().take(key, limits, asked, self._clock())
        self._tell(key, limits)
        return found

    def _settle(self, key: str, limits: KeyLimits, number: int, took: KeyAmount | None) -> None:
        try:
            self._opened().settle(number, took)
            self._tell(key, limits)
        except sqlite3.Error as error:
            # It stays charged in full.
            _log.warning("gateway_charge_unsettled", caller=key, reason=str(error))

    def _give_back(self, taking: Future[int | KeyRefused]) -> None:
        """Settle what was taken for a caller who did not wait for it; in the same thread, so it is done."""
        if taking.exception() is None and isinstance(number := taking.result(), int):
            self._opened().settle(number, KeyAmount())

    def _tell(self, key: str, limits: KeyLimits) -> None:
        spent = self._opened().spent(key, self._clock())
        for name, most in limits.limits.items():
            self._left(key, name, left_of(name, most, spent))


def _over(key: str, refused: KeyRefused, now: float) -> OverKeyLimit:
    hit = refused.hit
    most, spent, asked = (shown(hit.name, amount) for amount in (hit.most, hit.spent, hit.asked))
    name = hit.name.replace("_", " ")
    if hit.is_never:
        said = f"the key {key} has {most} {name}, and this request alone may take {asked}"
        return OverKeyLimit(f"{said}; ask for less, or for a shorter answer", hit)
    said = f"the key {key} has {most} {name}, of which {spent} are taken, and this request may take {asked}"
    if hit.is_rate:
        wait = MINUTE if refused.frees_in is None else refused.frees_in
        return OverKeyLimit(f"{said}; there is room in {wait:.0f} s", hit, wait)
    if hit.name == "usd":
        return OverKeyLimit(f"{said}; the operator can raise it", hit)
    hours = until_tomorrow(now) / 3_600
    return OverKeyLimit(f"{said}; the next day begins at 00:00 UTC, in {hours:.1f} hours", hit)

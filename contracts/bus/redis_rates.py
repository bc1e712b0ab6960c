"""Counts requests and tokens of all processes that share a Redis server.

No script runs there, since who may run one may keep the server busy for ever. A reservation is added first,
in one transaction that also reads the sum, and taken back where that is too much: so what was granted is
never over a limit, however many ask at once. What a dead process had reserved counts for its minute.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from contracts.base.errors import BusUnavailable
from contracts.bus.access import RATES_KEY
from contracts.bus.redis_connection import ConnectionPool
from contracts.ports.rates import MINUTE, Rates, Reservation, Used

_COUNTS: Final = MINUTE + 1
"""How long a second's use counts, in seconds: to the end of the minute after its end."""
_LONGEST_WAIT: Final = 2.0
"""Another's reservation that is taken back may have been in the way, so it is soon asked again."""
_TIMEOUT: Final = 5.0
_TRIES: Final = 3
_MOST_FIELDS: Final = 1_000


class RedisRates:
    """A RateWindow on a server (6.2 or newer). Seconds are the server's. Raises BusUnavailable."""

    def __init__(
        self, url: str, name: str, rates: Rates, *, jitter: Callable[[], float] = random.random
    ) -> None:
        """`name`: of the model; those that share it share the limits."""
        self._pool = ConnectionPool(url, _TIMEOUT)
        self._key = f"{RATES_KEY}{name}"
        self._rates = rates
        self._jitter = jitter
        self._ahead: float | None = None
        """The server's clock less this process' one."""
        self._stale: tuple[str, ...] = ()

    async def reserve(self, tokens: int) -> Reservation:
        """See RateWindow."""
        tokens = self._rates.bounded(tokens)
        for _ in range(_TRIES):
            second = int(time.monotonic() + await self._clock_ahead())
            now, fields = await self._add(second, 1, tokens)
            if abs(int(now) - second) <= 1:
                break
            await self._add(second, -1, -tokens)  # this process stood still meanwhile
        else:
            raise BusUnavailable(f"Redis at {self._pool.place.name}: its clock and this machine's differ")
        used = [one for one in _counted(fields, second, tokens) if one.until <= now + 2 * _COUNTS]
        if wait := self._rates.wait(used, tokens, now):
            await self._add(second, -1, -tokens)
            return Reservation(min(wait, _LONGEST_WAIT) * (1 + self._jitter() / 4))
        return Reservation(0.0, second, tokens)

    async def settle(self, held: Reservation, tokens: int) -> None:
        """See RateWindow."""
        if tokens != held.tokens and self._rates.tokens is not None:
            await self._add(held.place, 0, tokens - held.tokens)

    async def close(self) -> None:
        """See RateWindow."""
        await self._pool.close()

    async def _clock_ahead(self) -> float:
        if self._ahead is None:
            [reply] = await self._pool.run([("TIME",)])
            self._ahead = _seconds(reply) - time.monotonic()
        return self._ahead

    async def _add(self, second: int, requests: int, tokens: int) -> tuple[float, list[Any]]:
        """Add to what is used in a second; the server's time, and all that is used."""
        key, stale = self._key, self._stale
        commands = [
            ("MULTI",),
            ("TIME",),
            ("HINCRBY", key, f"r{second}", requests),
            ("HINCRBY", key, f"t{second}", tokens),
            *([("HDEL", key, *stale)] if stale else []),
            ("HGETALL", key),
            ("PEXPIRE", key, int(_COUNTS * 1000)),
            ("EXEC",),
        ]
        replies = (await self._pool.run(commands))[-1]
        self._pool.check(replies)
        now, fields = _seconds(replies[0]), replies[-2]
        self._ahead = now - time.monotonic()
        self._stale = tuple(
            name for name in map(_text, fields[: 2 * _MOST_FIELDS : 2]) if abs(_second(name) - now) >= _COUNTS
        )
        return now, fields


def _counted(fields: list[Any], second: int, tokens: int) -> list[Used]:
    """What was used beside one reservation in this second, the oldest first."""
    found: dict[int, dict[str, int]] = {second: {"r": -1, "t": -tokens}}
    for name, value in zip(map(_text, fields[::2]), map(_text, fields[1::2]), strict=True):
        counts = found.setdefault(_second(name), {"r": 0, "t": 0})
        counts[name[:1]] = counts.get(name[:1], 0) + _number(value)
    return list(_used(found))


def _used(found: dict[int, dict[str, int]]) -> Iterable[Used]:
    for at in sorted(found):
        yield Used(at + _COUNTS, max(0, found[at]["r"]), max(0, found[at]["t"]))


def _seconds(reply: Any) -> float:
    return int(reply[0]) + int(reply[1]) / 1_000_000


def _second(name: str) -> int:
    """The second of a field; one long ago for a field of somebody else's."""
    return _number(name[1:])


def _number(text: str) -> int:
    return int(text) if text.removeprefix("-").isdecimal() and len(text) < 19 else 0


def _text(raw: Any) -> str:
    return bytes(raw).decode("ascii", "replace")

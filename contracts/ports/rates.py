"""Limits of requests and tokens a minute, and what counts them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

MINUTE: Final = 60.0


class Used(NamedTuple):
    """What was used at one time."""

    until: float
    """When it no longer counts, in seconds of the counter's clock."""
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Rates:
    """How much may be used in any 60 seconds, None for no limit."""

    requests: int | None = None
    tokens: int | None = None

    def bounded(self, tokens: int) -> int:
        """What to reserve for a request of so many tokens: one above the limit has a minute for itself."""
        return tokens if self.tokens is None else min(tokens, self.tokens)

    def wait(self, used: Iterable[Used], tokens: int, now: float) -> float:
        """Seconds until one more request of so many tokens, within the limit, has room; 0.0 for now.

        used: the oldest first; what no longer counts makes room before now.
        """
        used = tuple(used)
        requests_over = 0 if self.requests is None else 1 + sum(one.requests for one in used) - self.requests
        tokens_over = 0 if self.tokens is None else tokens + sum(one.tokens for one in used) - self.tokens
        room_at = now
        for one in used:
            if requests_over <= 0 and tokens_over <= 0:
                break
            requests_over -= one.requests
            tokens_over -= one.tokens
            room_at = one.until
        return max(0.0, room_at - now)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a counter answers."""

    wait: float
    """0.0 when it is reserved, else the seconds after which to ask again."""
    place: int = 0
    """Where it is counted."""
    tokens: int = 0
    """How many are reserved."""
    alone: bool = False
    """Whether this process counts it by itself."""


class RateWindow(Protocol):
    """Counts what is used of one model."""

    async def reserve(self, tokens: int) -> Reservation:
        """Reserve one request and these tokens, an upper bound, unless there is no room now."""

    async def settle(self, held: Reservation, tokens: int) -> None:
        """Say how many tokens a reserved request has used in the end."""

    async def close(self) -> None:
        """Release what this process holds."""

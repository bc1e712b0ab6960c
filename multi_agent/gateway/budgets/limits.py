"""The limits of a key, and whether a request fits in. Pure."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

NANO: Final = 1_000_000_000
"""Money is counted in whole billionths of a dollar."""
MINUTE: Final = 60.0
_DAY: Final = 86_400


class KeyLimits(BaseModel):
    """What a key may spend; None for no limit. Days are those of UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    usd_per_day: float | None = Field(default=None, gt=0, le=1_000_000)
    usd: float | None = Field(default=None, gt=0, le=1_000_000)
    """Of all days together."""
    tokens_per_day: int | None = Field(default=None, ge=1, le=10**15)
    requests_per_minute: int | None = Field(default=None, ge=1, le=10**9)
    tokens_per_minute: int | None = Field(default=None, ge=1, le=10**15)

    @property
    def limits(self) -> dict[str, float]:
        """Those that are set, by name."""
        found = ((name, getattr(self, name)) for name in KeyLimits.model_fields)
        return {name: value for name, value in found if value is not None}

    @property
    def counts_dollars(self) -> bool:
        return self.usd is not None or self.usd_per_day is not None

    @property
    def counts_tokens(self) -> bool:
        """Whether what a request may take must be known before it is sent."""
        return self.counts_dollars or self.tokens_per_day is not None or self.tokens_per_minute is not None


@dataclass(frozen=True, slots=True)
class KeyAmount:
    """What a request may take at most, or took."""

    tokens: int = 0
    nano_usd: int = 0


@dataclass(frozen=True, slots=True)
class KeySpent:
    """What a key has taken, requests that are under way at their most."""

    nano_usd: int = 0
    nano_usd_today: int = 0
    tokens_today: int = 0
    requests_minute: int = 0
    """In the last minute."""
    tokens_minute: int = 0
    open_requests: int = 0
    """Under way, or of a gateway that died; those count in full."""
    open_nano_usd: int = 0

    def of(self, name: str) -> int:
        """What counts against a limit, in its unit, dollars in billionths."""
        return {
            "usd_per_day": self.nano_usd_today,
            "usd": self.nano_usd,
            "tokens_per_day": self.tokens_today,
            "requests_per_minute": self.requests_minute,
            "tokens_per_minute": self.tokens_minute,
        }[name]


@dataclass(frozen=True, slots=True)
class LimitHit:
    """A limit that a request would exceed."""

    name: str
    most: int
    """In its unit, dollars in billionths."""
    spent: int
    asked: int

    @property
    def is_never(self) -> bool:
        """Whether the request would exceed it also where nothing is spent."""
        return self.asked > self.most

    @property
    def is_rate(self) -> bool:
        return self.name.endswith("_minute")


def first_hit(limits: KeyLimits, spent: KeySpent, asked: KeyAmount) -> LimitHit | None:
    """The first limit that a request would exceed; one that it exceeds by itself before others."""
    asks = {"usd_per_day": asked.nano_usd, "usd": asked.nano_usd, "requests_per_minute": 1}
    hits = [
        LimitHit(name, most, spent.of(name), asks.get(name, asked.tokens))
        for name, value in limits.limits.items()
        if spent.of(name) + asks.get(name, asked.tokens) > (most := in_units(name, value))
    ]
    return next((hit for hit in hits if hit.is_never), hits[0] if hits else None)


def in_units(name: str, value: float) -> int:
    """A limit as it is counted."""
    return math.floor(value * NANO) if name.startswith("usd") else int(value)


def spent_of(name: str, spent: KeySpent) -> float:
    """What counts against a limit, in dollars where it is one of dollars."""
    return spent.of(name) / NANO if name.startswith("usd") else spent.of(name)


def left_of(name: str, most: float, spent: KeySpent) -> float:
    """What is left of a limit, as above."""
    return max(most - spent_of(name, spent), 0)


def shown(name: str, amount: int) -> str:
    """An amount as people read it."""
    return f"${amount / NANO:,.4f}" if name.startswith("usd") else f"{amount:,}"


def day_of(now: float) -> str:
    """The day in UTC, as 2026-12-31."""
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def until_tomorrow(now: float) -> float:
    """Seconds until the next day begins in UTC."""
    return _DAY - now % _DAY

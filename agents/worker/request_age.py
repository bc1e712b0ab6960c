"""How old a request is when it is read. Its workflow may have been cancelled meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from contracts.base.timestamps import seconds_of

_ROUNDING_SECONDS = 1.0
"""Requests carry whole seconds."""


@dataclass(slots=True)
class RequestAge:
    """Compares times of the orchestrator, whose clock may differ from the one here.

    A clock that jumps makes a request look old, which delays its start, or new, so that it starts at once.
    """

    clock: Callable[[], float]
    """Seconds since 1970."""
    most_seconds: float
    """From which age on a request is old."""
    _ahead: float = 0.0
    """By how much the orchestrator's clock is ahead of the one here, as of its last word."""

    def heard(self, time: str) -> None:
        """Set the clock by a message that an orchestrator has just sent, with this RFC 3339 time."""
        with suppress(ValueError):
            self._ahead = seconds_of(time) - self.clock()

    def is_old(self, created_at: int) -> bool:
        """Whether a request of that second, since 1970, is old."""
        return self.clock() + self._ahead - created_at > self.most_seconds + _ROUNDING_SECONDS

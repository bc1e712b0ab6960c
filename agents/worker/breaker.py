"""Holding back while something that work needs is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_FIRST_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 15.0


class Breaker:
    """A circuit breaker: after an outage nothing for a while, then one task at a time as a probe.

    The while is 0.5 s, doubling to 15 s with every probe that meets an outage again; a probe that ends in any
    other way closes the breaker. `clock` gives seconds and never goes back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wait = 0.0
        self._until = 0.0

    @property
    def pause_seconds(self) -> float:
        """How long still to take up nothing; 0.0 when work, or a probe, may start."""
        return max(0.0, self._until - self._clock()) if self._wait else 0.0

    def limit(self, slots: int) -> int:
        """How many tasks may run now, out of `slots`."""
        if not self._wait:
            return slots
        return 0 if self.pause_seconds else 1

    def ended(self, *, outage: bool) -> bool:
        """Take the end of a task in; True when that changed something.

        What began before the outage and ends during the pause says nothing about it.
        """
        if self.pause_seconds or not (outage or self._wait):
            return False
        self._wait = min(max(_FIRST_SECONDS, self._wait * 2), _MOST_SECONDS) if outage else 0.0
        self._until = self._clock() + self._wait
        return True

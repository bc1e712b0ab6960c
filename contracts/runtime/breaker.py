"""A circuit breaker: it holds work back while something that the work needs is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_FIRST_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 15.0


class CircuitBreaker:
    """Allows nothing for a while after an outage, then one execution at a time as a probe.

    The pause is 0.5 s and doubles, up to 15 s, with every probe that meets an outage again. A probe that ends
    in any other way closes the breaker.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds and never goes back."""
        self._clock = clock
        self._pause = 0.0
        self._until = 0.0

    @property
    def pause_seconds(self) -> float:
        """Seconds until something may start again; 0.0 when work, or a probe, may start now."""
        return max(0.0, self._until - self._clock()) if self._pause else 0.0

    def limit(self, slots: int) -> int:
        """How many executions may run now, out of `slots`."""
        if not self._pause:
            return slots
        return 0 if self.pause_seconds else 1

    def record(self, *, outage: bool) -> bool:
        """Record the end of an execution; True when the breaker opened, opened again, or closed.

        Executions that began before the outage and end during the pause are ignored.
        """
        if self.pause_seconds or not (outage or self._pause):
            return False
        self._pause = min(max(_FIRST_SECONDS, self._pause * 2), _MOST_SECONDS) if outage else 0.0
        self._until = self._clock() + self._pause
        return True

"""Waiting between attempts to reach the bus."""

from __future__ import annotations

import asyncio
import random


class Backoff:
    """Doubling waits with full jitter, from `first` to at most `cap` seconds."""

    def __init__(self, first: float = 0.05, cap: float = 1.0) -> None:
        self._first, self._cap = first, cap
        self._bound = first

    @property
    def fresh(self) -> bool:
        """Whether nothing was waited for yet, or since `reset`."""
        return self._bound == self._first

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._bound = self._first

    async def wait(self) -> None:
        """Sleep, and make the next wait longer."""
        seconds = random.uniform(self._first / 2, self._bound)  # noqa: S311  # jitter is no secret
        self._bound = min(self._bound * 2, self._cap)
        await asyncio.sleep(seconds)

"""Waiting between attempts to reach the bus."""

from __future__ import annotations

import asyncio
import random
from typing import Final

_FIRST_SECONDS: Final = 0.05
_CAP_SECONDS: Final = 1.0


class Backoff:
    """Doubling waits with full jitter, from 0.05 s to at most 1 s."""

    def __init__(self) -> None:
        self._bound = _FIRST_SECONDS

    def reset(self) -> None:
        """Start again with the shortest wait."""
        self._bound = _FIRST_SECONDS

    async def wait(self) -> None:
        """Sleep, and make the next wait longer."""
        seconds = random.uniform(_FIRST_SECONDS / 2, self._bound)  # noqa: S311  # jitter is no secret
        self._bound = min(self._bound * 2, _CAP_SECONDS)
        await asyncio.sleep(seconds)

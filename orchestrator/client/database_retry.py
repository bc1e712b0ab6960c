"""Waiting for a database that is away, and saying so once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from contracts.base.errors import StoreUnavailable

T = TypeVar("T")

RETRY_SECONDS = 1.0


class DatabaseRetry:
    """Asks again until the database answers. `say` hears when an outage begins and when it is over."""

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self._say = say
        self._since: float | None = None

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives, however long the database is away. It may be called many times."""
        while True:
            try:
                answer = await ask()
            except StoreUnavailable as error:
                self._away(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._back()
            return answer

    def _away(self, error: StoreUnavailable) -> None:
        if self._since is None:
            self._since = time.monotonic()
            reason = " ".join(str(error).split())
            self._say(f"waiting for the database (since {time.strftime('%H:%M:%S')}): {reason}")

    def _back(self) -> None:
        if self._since is not None:
            self._say(f"the database is back after {time.monotonic() - self._since:.0f} s")
            self._since = None

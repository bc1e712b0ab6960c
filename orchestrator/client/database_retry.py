"""Waiting for a database that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from contracts.base.errors import StoreUnavailable
from contracts.base.timestamps import local_time

T = TypeVar("T")

RETRY_SECONDS = 1.0


class DatabaseRetry:
    """Repeats calls until the database answers, and reports each outage twice: its beginning and its end."""

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        """`say` is given one line for each report."""
        self._say = say
        self._since: float | None = None

    async def call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` returns, calling it every second until it raises no StoreUnavailable."""
        while True:
            try:
                answer = await ask()
            except StoreUnavailable as error:
                self._report_outage(error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._report_end()
            return answer

    def _report_outage(self, error: StoreUnavailable) -> None:
        if self._since is None:
            self._since = time.monotonic()
            reason = " ".join(str(error).split())
            self._say(f"waiting for the database (since {local_time(time.time())}): {reason}")

    def _report_end(self) -> None:
        if self._since is not None:
            self._say(f"the database is back after {time.monotonic() - self._since:.0f} s")
            self._since = None

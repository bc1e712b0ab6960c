"""How long one event loop is held up, by whatever runs on it or keeps the interpreter's lock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST_SECONDS = 1.0
"""A sixth of a lease; what is not bounded takes 5 s and more."""
_TICK_SECONDS = 0.005


class LoopGap:
    """The longest gap so far, in seconds of this process's own processor time.

    A gap that other processes of the machine cause, by taking the processors, is none.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    async def watch(self) -> None:
        while True:
            wall, used = time.monotonic(), time.process_time()
            await asyncio.sleep(_TICK_SECONDS)
            gap = min(time.monotonic() - wall, time.process_time() - used)
            self.seconds = max(self.seconds, gap)


@asynccontextmanager
async def never_held_up() -> AsyncIterator[LoopGap]:
    """Fails when the loop was held up for MOST_SECONDS or longer while the block ran."""
    gap = LoopGap()
    watch = asyncio.create_task(gap.watch())
    await asyncio.sleep(0)
    try:
        yield gap
        await asyncio.sleep(2 * _TICK_SECONDS)
    finally:
        watch.cancel()
    assert gap.seconds < MOST_SECONDS, f"the event loop was held up for {gap.seconds:.2f} s"

"""Entries of the cache that coroutines make."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from contracts.base.processes.folder_cache import CachedFolder, FolderCache


@asynccontextmanager
async def kept(
    cache: FolderCache, name: str, make: Callable[[Path], Awaitable[None]]
) -> AsyncIterator[CachedFolder]:
    """Use an entry, which `make` fills first when there is none. A caller that is cancelled ends `make`."""
    loop = asyncio.get_running_loop()
    making: list[concurrent.futures.Future[None]] = []

    async def made(folder: Path) -> None:
        await make(folder)

    def fill(folder: Path) -> None:
        making.append(asyncio.run_coroutine_threadsafe(made(folder), loop))
        making[0].result()

    use = cache.using(name, fill)
    entering = asyncio.ensure_future(asyncio.to_thread(use.__enter__))
    try:
        entry = await asyncio.shield(entering)
    except asyncio.CancelledError:
        await _abandon(entering, making, use.__exit__)
        raise
    try:
        yield entry
    finally:
        await asyncio.to_thread(use.__exit__, None, None, None)


async def _abandon(
    entering: Awaitable[CachedFolder],
    making: list[concurrent.futures.Future[None]],
    leave: Callable[[None, None, None], object],
) -> None:
    """End what is made, wait for the thread, and let go of what it opened all the same."""
    for one in making:
        one.cancel()
    with suppress(Exception, asyncio.CancelledError, concurrent.futures.CancelledError):
        await entering
        await asyncio.to_thread(leave, None, None, None)

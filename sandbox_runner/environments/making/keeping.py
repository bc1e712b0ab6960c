"""Entries of the cache that coroutines make."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from contracts.base.processes.folder_cache import CachedFolder, FolderCache


@dataclass(slots=True)
class _Making:
    """What fills an entry, on the event loop; a thread waits for it."""

    task: asyncio.Future[None] | None = None
    abandoned: bool = False


@asynccontextmanager
async def kept(
    cache: FolderCache, name: str, make: Callable[[Path], Awaitable[None]]
) -> AsyncIterator[CachedFolder]:
    """Use an entry, which `make` fills first when there is none. A caller that is cancelled ends `make`."""
    loop = asyncio.get_running_loop()
    making = _Making()

    async def made(folder: Path) -> None:
        if making.abandoned:
            raise asyncio.CancelledError
        making.task = asyncio.ensure_future(make(folder))
        await making.task

    def fill(folder: Path) -> None:
        asyncio.run_coroutine_threadsafe(made(folder), loop).result()

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
    making: _Making,
    leave: Callable[[None, None, None], object],
) -> None:
    """End what is made, wait for it and for the thread, and let go of what it opened all the same."""
    making.abandoned = True
    if making.task is not None:
        making.task.cancel()
        await asyncio.wait({making.task})
    with suppress(Exception, asyncio.CancelledError, concurrent.futures.CancelledError):
        await entering
        await asyncio.to_thread(leave, None, None, None)

"""Entries of the cache that coroutines make: who stops waiting ends the making, and waits for its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contracts.base.processes.folder_cache import FolderCache
from sandbox_runner.environments.making.keeping import kept

SIZE = 1_000_000


async def _use(cache: FolderCache, make: Callable[[Path], Awaitable[None]]) -> None:
    async with kept(cache, "entry", make):
        raise AssertionError("nothing was made")


async def test_what_is_cleaned_up_is_waited_for(tmp_path: Path) -> None:
    began, cleaned = asyncio.Event(), asyncio.Event()

    async def make(folder: Path) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(20):
                await asyncio.sleep(0.01)
            cleaned.set()

    using = asyncio.create_task(_use(FolderCache(tmp_path, SIZE), make))
    await began.wait()
    using.cancel()
    await asyncio.wait({using})
    assert using.cancelled()
    assert cleaned.is_set()


async def test_nothing_is_begun_for_who_has_stopped_waiting(tmp_path: Path) -> None:
    cache, held, let_go = FolderCache(tmp_path, SIZE), threading.Event(), threading.Event()

    def hold(folder: Path) -> None:
        held.set()
        let_go.wait(30)
        raise OSError("of no use")

    def other() -> None:
        with pytest.raises(OSError, match="of no use"), cache.using("entry", hold):
            raise AssertionError("nothing was made")

    async def make(folder: Path) -> None:
        raise AssertionError("nobody waits for it")

    elsewhere = asyncio.create_task(asyncio.to_thread(other))
    await asyncio.to_thread(held.wait, 30)
    using = asyncio.create_task(_use(cache, make))
    await asyncio.sleep(0.1)
    using.cancel()
    await asyncio.sleep(0)
    let_go.set()
    await asyncio.wait({using, elsewhere})
    assert using.cancelled()
    assert elsewhere.exception() is None

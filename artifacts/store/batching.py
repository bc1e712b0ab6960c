"""Batches concurrent calls: what arrives while one is running goes into the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from contracts.base.errors import ArtifactError, StoreUnavailable
from contracts.base.processes.shortage import shortage_as

_MOST_ITEMS = 256
_MOST_BYTES = 64_000_000

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Waiting(Generic[_Item, _Answer]):
    items: Sequence[_Item]
    done: asyncio.Future[list[_Answer]]


class Batcher(Generic[_Item, _Answer]):
    """Calls the blocking `work` in a thread, for the items of several callers at once.

    After an ArtifactError the items of each caller are tried alone, since one may have caused it for all.

    work: gives one answer for each item, in order; all or nothing.
    size: the bytes of an item.
    """

    def __init__(
        self, work: Callable[[Sequence[_Item]], list[_Answer]], size: Callable[[_Item], int] = lambda _: 0
    ) -> None:
        self._call, self._size = work, size
        self._waiting: list[_Waiting[_Item, _Answer]] = []
        self._worker: asyncio.Task[None] | None = None

    async def do(self, items: Sequence[_Item]) -> list[_Answer]:
        """Return the answers to these items."""
        done: asyncio.Future[list[_Answer]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(items, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await done

    async def close(self) -> None:
        """Wait for the calls that are running."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                await self._do(group)
            except ArtifactError:
                for one in group:
                    await self._do_alone(one)
            except Exception as error:
                for one in group:
                    _fail(one.done, error)

    def _next_group(self) -> list[_Waiting[_Item, _Answer]]:
        group: list[_Waiting[_Item, _Answer]] = []
        count = size = 0
        while self._waiting:
            items = self._waiting[0].items
            count += len(items)
            size += sum(self._size(item) for item in items)
            if group and (count > _MOST_ITEMS or size > _MOST_BYTES):
                break
            group.append(self._waiting.pop(0))
        return group

    async def _do(self, group: Sequence[_Waiting[_Item, _Answer]]) -> None:
        with shortage_as(StoreUnavailable):
            found = await asyncio.to_thread(self._call, [item for one in group for item in one.items])
        answers = iter(found)
        for one in group:
            mine = [next(answers) for _ in one.items]
            if not one.done.done():
                one.done.set_result(mine)

    async def _do_alone(self, one: _Waiting[_Item, _Answer]) -> None:
        try:
            await self._do([one])
        except Exception as error:
            _fail(one.done, error)


def _fail(done: asyncio.Future[list[_Answer]], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)

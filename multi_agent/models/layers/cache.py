"""Answers repeated requests from memory."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from contracts.base.errors import InvalidDocument
from contracts.base.model_answer import parse_answer
from contracts.ports.exchanges import ASKED_ANEW
from contracts.ports.model import PURSE, ModelClient, ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash
from multi_agent.models.layers.wrapper import Wrapper

CACHE_BYTES: Final = 64_000_000


@dataclass(slots=True)
class _Call:
    task: asyncio.Task[ModelResponse]
    waiting: int = 0


class Cached(Wrapper):
    """Answers a repeated request from memory; identical concurrent requests share one call.

    Whoever asks anew (`asks_anew`) is not answered from memory. Errors are not cached, nor are answers that
    are cut off or not valid JSON although a schema was given, so that asking again can help. The most
    recently used answers are kept, up to `max_bytes`. A shared call is cancelled when no caller waits for it
    any more.
    """

    def __init__(self, inner: ModelClient, *, max_bytes: int = CACHE_BYTES) -> None:
        super().__init__(inner)
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, ModelResponse] = OrderedDict()
        self._calls: dict[str, _Call] = {}

    async def complete(self, request: ModelRequest) -> ModelResponse:
        key = request_hash(request)
        kept = self._kept.get(key)
        if kept is not None and not asks_anew(request):
            self._kept.move_to_end(key)
            return kept
        # Whoever asks first pays, so that only those share a call who pay from one purse.
        name = key if (purse := PURSE.get()) is None else f"{id(purse)}:{key}"
        call = self._calls.get(name)
        if call is None:
            call = self._calls[name] = _Call(asyncio.create_task(self._ask(name, key, request)))
        call.waiting += 1
        try:
            return await asyncio.shield(call.task)
        finally:
            call.waiting -= 1
            if not call.waiting and not call.task.done():
                self._calls.pop(name, None)
                await _cancel(call.task)

    async def _ask(self, name: str, key: str, request: ModelRequest) -> ModelResponse:
        this = asyncio.current_task()
        try:
            response = await self._inner.complete(request)
        finally:
            # A new call may already have replaced this one if it was cancelled.
            if name in self._calls and self._calls[name].task is this:
                del self._calls[name]
        if is_whole(request, response):
            self._keep(key, response)
        return response

    def _keep(self, key: str, response: ModelResponse) -> None:
        if (before := self._kept.pop(key, None)) is not None:
            self._bytes -= _size(before)
        self._kept[key] = response
        self._bytes += _size(response)
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _size(oldest)

    async def close(self) -> None:
        for call in list(self._calls.values()):
            await _cancel(call.task)
        await super().close()


def _size(response: ModelResponse) -> int:
    return sum(map(len, response.texts))


async def _cancel(task: asyncio.Task[ModelResponse]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # else asyncio reports an exception that was never retrieved


def asks_anew(request: ModelRequest) -> bool:
    """Whether an answer that was kept will not do, since a person asks for another."""
    return ASKED_ANEW in request.system


def is_whole(request: ModelRequest, response: ModelResponse) -> bool:
    """Whether an answer may be given again: it is not cut off, and a document where one was asked for."""
    if response.end or request.response_schema is None:
        return not response.end
    try:
        parse_answer(response.text)
    except InvalidDocument:
        return False
    return True

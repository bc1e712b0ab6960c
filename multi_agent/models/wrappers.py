"""What stands around every adapter, from outside to inside: cache, rate limit, retry, bounds."""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from contracts.base.errors import InvalidDocument, ModelRefused, ModelUnavailable
from contracts.base.model_answer import parse_answer
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from contracts.ports.request_hash import request_hash

_log = structlog.get_logger(__name__)

CACHE_BYTES: Final = 64_000_000
_MINUTE: Final = 60.0

Sleep = Callable[[float], Awaitable[None]]


class _Wrapper:
    def __init__(self, inner: ModelClient) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    async def close(self) -> None:
        await self._inner.close()


@dataclass(slots=True)
class _Call:
    task: asyncio.Task[ModelResponse]
    waiting: int = 0


class Cached(_Wrapper):
    """Answers a request it has seen before from memory; identical requests at one time share one call.

    Errors are not kept, nor is an answer that cannot be read although a schema was given: asking again
    shall help. Kept are the `max_bytes` of answers used last. The shared call is cancelled when nobody waits
    for it.
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
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _Call(asyncio.create_task(self._ask(key, request)))
        call.waiting += 1
        try:
            return await asyncio.shield(call.task)
        finally:
            call.waiting -= 1
            if not call.waiting and not call.task.done():
                self._calls.pop(key, None)
                await _cancel(call.task)

    async def _ask(self, key: str, request: ModelRequest) -> ModelResponse:
        this = asyncio.current_task()
        try:
            response = await self._inner.complete(request)
        finally:
            # A successor may already stand in the place of a call that was cancelled.
            if key in self._calls and self._calls[key].task is this:
                del self._calls[key]
        if _is_readable(request, response):
            self._keep(key, response)
        return response

    def _keep(self, key: str, response: ModelResponse) -> None:
        self._kept[key] = response
        self._bytes += len(response.text)
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.text)

    async def close(self) -> None:
        for call in list(self._calls.values()):
            await _cancel(call.task)
        await super().close()


async def _cancel(task: asyncio.Task[ModelResponse]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # asyncio reports an error that nobody looks at


def _is_readable(request: ModelRequest, response: ModelResponse) -> bool:
    if request.response_schema is None:
        return True
    try:
        parse_answer(response.text)
    except InvalidDocument:
        return False
    return True


class RateLimited(_Wrapper):
    """At most `per_minute` requests in any 60 seconds, by this process; the others wait in order.

    A retry inside takes no new place: it waits by its own backoff.
    """

    def __init__(
        self,
        inner: ModelClient,
        per_minute: int,
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        self._started: deque[float] = deque(maxlen=per_minute)
        self._turn = asyncio.Lock()
        self._sleep = sleep
        self._clock = clock

    async def complete(self, request: ModelRequest) -> ModelResponse:
        async with self._turn:
            while len(self._started) == self._started.maxlen:
                wait = self._started[0] + _MINUTE - self._clock()
                if wait <= 0:
                    break
                await self._sleep(wait)
            self._started.append(self._clock())
        return await self._inner.complete(request)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and for how long, to try again. No attempt starts `total_seconds` after the first."""

    max_attempts: int = 5
    total_seconds: float = 300.0
    first_wait_seconds: float = 1.0
    most_wait_seconds: float = 30.0


class Retrying(_Wrapper):
    """Tries again after ModelUnavailable, and after nothing else.

    The wait doubles from attempt to attempt, half of it random, and is never shorter than `retry_after`. When
    the policy leaves no room for the wait, the last error is raised at once with its `retry_after`.
    """

    def __init__(
        self,
        inner: ModelClient,
        policy: RetryPolicy,
        *,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._policy = policy
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter

    async def complete(self, request: ModelRequest) -> ModelResponse:
        deadline = self._clock() + self._policy.total_seconds
        attempt = 1
        while True:
            try:
                return await self._inner.complete(request)
            except ModelUnavailable as error:
                wait = self._wait(attempt, error.retry_after)
                if attempt >= self._policy.max_attempts or self._clock() + wait >= deadline:
                    raise
                _log.warning(
                    "model.retry",
                    model=self.name,
                    purpose=request.purpose,
                    attempt=attempt,
                    wait_seconds=round(wait, 2),
                    reason=str(error),
                )
            await self._sleep(wait)
            attempt += 1

    def _wait(self, attempt: int, retry_after: float | None) -> float:
        doubled = self._policy.first_wait_seconds * 2.0 ** min(attempt - 1, 30)
        half = min(self._policy.most_wait_seconds, doubled) / 2
        return max(half, retry_after or 0.0) + half * self._jitter()


class Bounded(_Wrapper):
    """Refuses an answer that is empty, more than `max_bytes` of UTF-8, or no valid Unicode."""

    def __init__(self, inner: ModelClient, max_bytes: int) -> None:
        super().__init__(inner)
        self._max_bytes = max_bytes

    async def complete(self, request: ModelRequest) -> ModelResponse:
        response = await self._inner.complete(request)
        if not response.text.strip():
            raise ModelRefused(f"model {self.name} gave an empty answer to {request.purpose}")
        size = self._size(response.text)
        if size > self._max_bytes:
            raise ModelRefused(
                f"model {self.name} answered {request.purpose} with {size:,} bytes, the limit is "
                f"{self._max_bytes:,}; ask for less at once"
            )
        return response

    def _size(self, text: str) -> int:
        try:
            return len(text.encode("utf-8"))
        except UnicodeEncodeError:
            raise ModelRefused(f"model {self.name} gave an answer that is no valid Unicode text") from None

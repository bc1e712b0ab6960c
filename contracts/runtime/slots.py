"""The messages that a consumer has received and not finished."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import structlog

from contracts.ports.bus import Delivery
from contracts.runtime.reading import Entry, entry

_log = structlog.get_logger(__name__)

M = TypeVar("M")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class InFlight(Generic[M]):
    """A message between its delivery and its result."""

    key: str
    """Names the message; a repeated publication repeats it."""

    message: M
    delivery: Delivery

    execution_id: str
    """Names this execution of the message."""

    exclusive: bool = False
    """Whether it runs alone."""

    task: asyncio.Task[None] | None = None
    """None while it waits for a slot."""

    revoked: bool = False
    """Whether nobody waits for its result any more."""

    confirmed: bool = True
    """Whether it may start; see `Slots.confirm`."""


class Slots(Generic[M, R]):
    """Runs at most `limit()` messages at once; what is added beyond that waits, in order.

    An exclusive message starts when all that was added before it has ended; no other message starts before it
    has ended. A message that is not confirmed takes a slot and holds up no other.
    """

    def __init__(
        self,
        limit: Callable[[], int],
        execute: Callable[[InFlight[M]], Awaitable[R]],
        finished: Callable[[InFlight[M], R | None], None],
        removed: Callable[[InFlight[M]], None],
    ) -> None:
        """`finished` is called with the result, None for one that was cancelled, and not for one that was
        revoked. `removed` is called when a message is in flight no more, whatever its end."""
        self._limit = limit
        self._execute = execute
        self._finished = finished
        self._removed = removed
        self._in_flight: dict[str, InFlight[M]] = {}
        self._waiting: deque[InFlight[M]] = deque()
        self._running = self._exclusive = 0
        self._runs_exclusive = False
        self._closed = False
        self._changed = asyncio.Event()

    def __iter__(self) -> Iterator[InFlight[M]]:
        return iter(self._in_flight.values())

    def __len__(self) -> int:
        return len(self._in_flight)

    def __contains__(self, key: str) -> bool:
        return key in self._in_flight

    @property
    def free(self) -> int:
        """How many more messages would start at once."""
        return 0 if self._exclusive else max(0, self._limit() - len(self._in_flight))

    @property
    def entries(self) -> set[Entry]:
        """The entries that brought what is in flight."""
        return {entry(each.delivery) for each in self._in_flight.values()}

    async def wait_free(self) -> int:
        """How many messages may be read now, at least one."""
        while not self.free:
            self._changed.clear()
            await self._changed.wait()
        return self.free

    def add(self, message: InFlight[M]) -> None:
        """Start it, or let it wait for a slot or for `confirm`."""
        self._in_flight[message.key] = message
        self._exclusive += message.exclusive
        if message.confirmed:
            self._waiting.append(message)
            self.start()

    def confirm(self, key: str) -> None:
        """Let a message start that was added without being confirmed. Again, or for any other, is a no-op."""
        message = self._in_flight.get(key)
        if message is not None and not message.confirmed:
            message.confirmed = True
            self._waiting.append(message)
            self.start()

    def revoke(self, key: str) -> Delivery | None:
        """End an execution without a result. Its delivery; None when it is not in flight."""
        message = self._in_flight.get(key)
        if message is None or message.revoked:
            return None
        message.revoked = True
        if message.task is None:
            self._drop(message)
        else:
            message.task.cancel()
        return message.delivery

    def cancel(self, key: str) -> bool:
        """End an execution early; it is `finished` all the same. False when it is not in flight."""
        message = self._in_flight.get(key)
        if message is None:
            return False
        if message.task is not None:
            message.task.cancel()
        elif not message.revoked:
            self._drop(message)
            self._finished(message, None)
        return True

    def _drop(self, message: InFlight[M]) -> None:
        """Remove a message that has not started."""
        if message.confirmed:
            self._waiting.remove(message)
        self._remove(message)

    def close(self) -> None:
        """Start nothing any more."""
        self._closed = True

    async def drain(self, grace_seconds: float, cancel_seconds: float) -> tuple[str, ...]:
        """Let what runs finish, then cancel it. The keys of what has no result."""
        self.close()
        await self._wait_running(grace_seconds)
        unfinished = tuple(each.key for each in self if not each.revoked)
        self.abort()
        if stuck := await self._wait_running(cancel_seconds):
            _log.warning("cancellation_ignored", count=stuck)
        return unfinished

    def abort(self) -> None:
        """Cancel what runs, without a result, and do not wait for its end."""
        self.close()
        for each in self:
            each.revoked = True
            if each.task is not None:
                each.task.cancel()

    async def _wait_running(self, seconds: float) -> int:
        running = [each.task for each in self if each.task is not None]
        if not running:
            return 0
        _, pending = await asyncio.wait(running, timeout=seconds)
        return len(pending)

    def start(self) -> None:
        """Start what waits and may run now. To be called when the limit has risen."""
        self._changed.set()
        if self._closed:
            return
        while self._waiting and self._running < self._limit():
            message = self._waiting[0]
            if self._runs_exclusive or (self._running and message.exclusive):
                return
            self._waiting.popleft()
            self._running += 1
            self._runs_exclusive = message.exclusive
            message.task = asyncio.create_task(self._run(message), name=f"execution-{message.execution_id}")
            # A task cancelled before its first step runs no `finally` of its own.
            message.task.add_done_callback(partial(self._ended, message))

    async def _run(self, message: InFlight[M]) -> None:
        result = await self._execute(message)
        if not message.revoked:
            self._finished(message, result)

    def _ended(self, message: InFlight[M], task: asyncio.Task[None]) -> None:
        self._running -= 1
        self._runs_exclusive = False
        self._remove(message)
        if task.cancelled() and not message.revoked:
            self._finished(message, None)

    def _remove(self, message: InFlight[M]) -> None:
        del self._in_flight[message.key]
        self._exclusive -= message.exclusive
        self.start()
        self._removed(message)

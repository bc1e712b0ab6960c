"""The dispatches in a worker's hands."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import structlog

from agents.worker.reading import Entry, entry
from contracts.messages.events import Execution, TaskEvent, TaskOutcome, TaskRequest
from contracts.ports.bus import Delivery

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Held:
    """A dispatch between its delivery and its outcome."""

    event: TaskEvent[TaskRequest]
    delivery: Delivery
    execution_id: str
    alone: bool = False
    running: asyncio.Task[None] | None = None
    recalled: bool = False

    @property
    def dispatch_id(self) -> str:
        return self.event.data.dispatch_id


Execute: TypeAlias = Callable[[Held], Awaitable[TaskOutcome]]
Finished: TypeAlias = Callable[[Held, TaskOutcome], None]


class Slots:
    """Runs at most `limit()` executions at once; what is taken beyond that waits, in order.

    What must run alone starts when all that was taken before it has ended; until it has ended itself nothing
    is free. `finished` hears every outcome, except of a dispatch that was recalled or given up.
    """

    def __init__(self, limit: Callable[[], int], execute: Execute, finished: Finished) -> None:
        self._limit = limit
        self._execute = execute
        self._finished = finished
        self._held: dict[str, Held] = {}
        self._waiting: deque[Held] = deque()
        self._running = self._alone = 0
        self._exclusive = False
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def free(self) -> int:
        return 0 if self._alone else max(0, self._limit() - len(self._held))

    @property
    def executions(self) -> tuple[Execution, ...]:
        return tuple(
            Execution(
                dispatch_id=held.dispatch_id,
                execution_id=held.execution_id,
                started=held.running is not None,
                workflow_id=held.event.workflowid,
            )
            for held in self._held.values()
        )

    @property
    def entries(self) -> set[Entry]:
        """The entries that brought what is held."""
        return {entry(held.delivery) for held in self._held.values()}

    async def wait_free(self) -> int:
        """How many dispatches may be read now, at least one."""
        while not self.free:
            self._changed.clear()
            await self._changed.wait()
        return self.free

    def holds(self, dispatch_id: str) -> bool:
        return dispatch_id in self._held

    def take(self, held: Held) -> None:
        """Start it, or let it wait for a slot."""
        self._held[held.dispatch_id] = held
        self._alone += held.alone
        self._waiting.append(held)
        self.start()

    def recall(self, dispatch_id: str) -> Delivery | None:
        """End an execution without an outcome. Its delivery, when this worker holds the dispatch."""
        held = self._held.get(dispatch_id)
        if held is None or held.recalled:
            return None
        held.recalled = True
        if held.running is None:
            self._waiting.remove(held)
            self._remove(held)
        else:
            held.running.cancel()
        return held.delivery

    def close(self) -> None:
        """Start nothing any more."""
        self._closed = True

    async def drain(self, grace_seconds: float, cancel_seconds: float) -> tuple[str, ...]:
        """Let what runs finish, then cancel it. The dispatch ids that have no outcome."""
        self.close()
        await self._wait_running(grace_seconds)
        unfinished = tuple(held.dispatch_id for held in self._held.values() if not held.recalled)
        for held in self._held.values():
            held.recalled = True
            if held.running is not None:
                held.running.cancel()
        stuck = await self._wait_running(cancel_seconds)
        if stuck:
            _log.warning("worker.execution_ignores_cancel", count=stuck)
        return unfinished

    async def _wait_running(self, seconds: float) -> int:
        running = [held.running for held in self._held.values() if held.running is not None]
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
            held = self._waiting[0]
            if self._exclusive or (self._running and held.alone):
                return
            self._waiting.popleft()
            self._running += 1
            self._exclusive = held.alone
            held.running = asyncio.create_task(self._run(held), name=f"execution-{held.execution_id}")
            # A task cancelled before its first step runs no `finally` of its own.
            held.running.add_done_callback(partial(self._ended, held))

    async def _run(self, held: Held) -> None:
        outcome = await self._execute(held)
        if not held.recalled:
            self._finished(held, outcome)

    def _ended(self, held: Held, _: object) -> None:
        self._running -= 1
        self._exclusive = False
        self._remove(held)

    def _remove(self, held: Held) -> None:
        del self._held[held.dispatch_id]
        self._alone -= held.alone
        self.start()

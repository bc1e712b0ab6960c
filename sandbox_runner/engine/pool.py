"""Keeps sandboxes that are started in advance. Each waits for a job, runs that one job, and is removed."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from contracts.base.errors import SandboxUnavailable
from contracts.base.failpoints import failpoint
from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.engine.protocol import GuestChannel, Transcript
from sandbox_runner.guest import wire

IDLE_SECONDS: Final = 300.0
"""A sandbox that has waited so long is replaced. The expiry label of a container must be later than that."""
MAX_KEYS: Final = 4
"""Keys for which sandboxes wait, those used last. Sandboxes for other keys are removed."""
_SETTLE_SECONDS: Final = 0.2
"""Head start of the execution that asked for a sandbox, before the next sandbox is started beside it."""


class WarmSandbox(GuestChannel, Protocol):
    """A sandbox whose process 1 waits for its job. It runs one job and is then removed."""

    def alive(self) -> bool:
        """Return False once the sandbox is known to have ended."""

    async def confine(self, limits: SandboxLimits) -> None:
        """Set the limits that were not known when it was started. Raises SandboxUnavailable."""

    async def killed_for_memory(self, transcript: Transcript) -> bool:
        """Tell whether the kernel killed a process in it for memory. Raises SandboxUnavailable."""

    async def end(self) -> None:
        """Kill and remove all of it. Raises SandboxUnavailable when it is not certain that this worked."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    task: asyncio.Task[WarmSandbox]
    since: float


class Pool:
    """Keeps up to `size` waiting sandboxes for each of the keys used last, all on one event loop.

    A key holds everything that `start` needs to start a sandbox. No sandbox is started in advance for a key
    before the first `acquire` or `begin` of that key, and none while `size` is 0.
    """

    def __init__(
        self, start: Callable[[Hashable], Awaitable[WarmSandbox]], idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._start = start
        self.size = 0
        """Waiting sandboxes for each key."""
        self._idle_seconds = idle_seconds
        self._waiting: OrderedDict[Hashable, deque[_Waiting]] = OrderedDict()
        self._asked = asyncio.Event()
        self._may_start = True
        self._maintenance: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()

    def begin(self, key: Hashable) -> None:
        """Let sandboxes wait for this key from now on, before the first `acquire` of it."""
        self._queue_for(key)
        self._fill()

    async def acquire(self, key: Hashable) -> WarmSandbox | None:
        """Return a live sandbox for the caller to use and end; None when none waits or is being started."""
        if not self.size:
            return None
        queue = self._queue_for(key)
        while queue:
            waiting = queue.popleft()
            try:
                await asyncio.wait({waiting.task})
            except asyncio.CancelledError:
                self._discard(waiting)
                raise
            started = _outcome(waiting.task)
            if started is not None and started.alive():
                return started
            self._discard(waiting)
        return None

    def _queue_for(self, key: Hashable) -> deque[_Waiting]:
        queue = self._waiting.setdefault(key, deque())
        self._waiting.move_to_end(key)
        while len(self._waiting) > MAX_KEYS:
            for waiting in self._waiting.popitem(last=False)[1]:
                self._discard(waiting)
        self._may_start = True
        self._asked.set()
        if self._maintenance is None:
            self._maintenance = asyncio.create_task(self._maintain())
        return queue

    async def _maintain(self) -> None:
        """Start missing sandboxes shortly after an `acquire`, and send heartbeats to those that wait."""
        while True:
            self._discard_stale()
            await self._send_heartbeats()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wire.BEAT_SECONDS):
                    await self._asked.wait()
                    self._asked.clear()
                    await asyncio.sleep(_SETTLE_SECONDS)
            if self._may_start:
                self._fill()

    def _discard_stale(self) -> None:
        """Remove the sandboxes that died or waited too long.

        After a failed start none is started until the next `acquire`.
        """
        now = asyncio.get_running_loop().time()
        for queue, waiting in self._finished_starts():
            started = _outcome(waiting.task)
            if started is None:
                self._may_start = False
            if started is None or not started.alive() or now - waiting.since > self._idle_seconds:
                queue.remove(waiting)
                self._discard(waiting)

    async def _send_heartbeats(self) -> None:
        for queue, waiting in self._finished_starts():
            started = _outcome(waiting.task)
            if started is not None and waiting in queue:
                with contextlib.suppress(ConnectionError):
                    await started.send(wire.IDLE_BEAT)

    def _finished_starts(self) -> Iterator[tuple[deque[_Waiting], _Waiting]]:
        everything = [(queue, waiting) for queue in self._waiting.values() for waiting in queue]
        return ((queue, waiting) for queue, waiting in everything if waiting.task.done())

    def _fill(self) -> None:
        now = asyncio.get_running_loop().time()
        for key, queue in self._waiting.items():
            while len(queue) < self.size:
                queue.append(_Waiting(asyncio.create_task(self._start_one(key)), now))

    async def _start_one(self, key: Hashable) -> WarmSandbox:
        started = await self._start(key)
        failpoint("sandbox.refilled")
        return started

    def _discard(self, waiting: _Waiting) -> None:
        ending = asyncio.create_task(_end(waiting.task))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """Remove all sandboxes that wait or are being started."""
        if self._maintenance is not None:
            self._maintenance.cancel()
            await asyncio.wait({self._maintenance})
            self._maintenance = None
        while self._waiting:
            for waiting in self._waiting.popitem()[1]:
                self._discard(waiting)
        if self._endings:
            await asyncio.wait(self._endings)


async def _end(task: asyncio.Task[WarmSandbox]) -> None:
    task.cancel()
    await asyncio.wait({task})
    started = _outcome(task)
    if started is not None:
        # The reaper of the backend removes it later.
        with contextlib.suppress(SandboxUnavailable):
            await started.end()


def _outcome(task: asyncio.Task[WarmSandbox]) -> WarmSandbox | None:
    return None if task.cancelled() or task.exception() else task.result()

"""Sandboxes that are started before anybody needs them: each waits for a job, gets one, and never another."""

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
from sandbox_runner.engine.conversation import GuestChannel, Transcript
from sandbox_runner.guest import wire

# One that waited so long is replaced; a container's label must outlive that.
IDLE_SECONDS: Final = 300.0
# Limits that were asked for last; sandboxes for older ones are given up.
MAX_KEYS: Final = 4
# The execution that asked gets so long to begin before the next sandbox is started beside it.
_SETTLE_SECONDS: Final = 0.2


class WarmSandbox(GuestChannel, Protocol):
    """A sandbox whose process 1 waits for its job: used for one, then ended."""

    def alive(self) -> bool:
        """False once it is known to be gone."""

    async def confine(self, limits: SandboxLimits) -> None:
        """Put up the limits that were not known at its start. Raises SandboxUnavailable."""

    async def killed_for_memory(self, heard: Transcript) -> bool:
        """Whether the kernel ended something in it for memory. Raises SandboxUnavailable."""

    async def end(self) -> None:
        """Kill it; nothing of it is left. Raises SandboxUnavailable when that cannot be known."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    task: asyncio.Task[WarmSandbox]
    since: float


class Pool:
    """Up to `size` waiting sandboxes for each of the keys that were used last, all on one event loop.

    `start(key)` starts one; a key is all that must be known for it. Nothing is started for a key before
    somebody took, or tried to take, one of it; nothing at all while `size` is 0, as it is at first.
    """

    def __init__(
        self, start: Callable[[Hashable], Awaitable[WarmSandbox]], idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._start = start
        self.size = 0
        self._idle_seconds = idle_seconds
        self._waiting: OrderedDict[Hashable, deque[_Waiting]] = OrderedDict()
        self._asked = asyncio.Event()
        self._may_start = True
        self._tending: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()

    async def acquire(self, key: Hashable) -> WarmSandbox | None:
        """One that lives, for the caller to use and end; None when none waits or is about to."""
        if not self.size:
            return None
        queue = self._remember(key)
        while queue:
            waiting = queue.popleft()
            try:
                await asyncio.wait({waiting.task})
            except asyncio.CancelledError:
                self._give_up(waiting)
                raise
            started = _outcome(waiting.task)
            if started is not None and started.alive():
                return started
            self._give_up(waiting)
        return None

    def _remember(self, key: Hashable) -> deque[_Waiting]:
        queue = self._waiting.setdefault(key, deque())
        self._waiting.move_to_end(key)
        while len(self._waiting) > MAX_KEYS:
            for waiting in self._waiting.popitem(last=False)[1]:
                self._give_up(waiting)
        self._may_start = True
        self._asked.set()
        if self._tending is None:
            self._tending = asyncio.create_task(self._tend())
        return queue

    async def _tend(self) -> None:
        """Start what is missing a little after somebody asked, and say to those that wait that we live."""
        while True:
            self._weed()
            await self._beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wire.BEAT_SECONDS):
                    await self._asked.wait()
                    self._asked.clear()
                    await asyncio.sleep(_SETTLE_SECONDS)
            if self._may_start:
                self._fill()

    def _weed(self) -> None:
        """Give up who died or grew old. After a failed start none is tried until somebody asks again."""
        now = asyncio.get_running_loop().time()
        for queue, waiting in self._done():
            started = _outcome(waiting.task)
            if started is None:
                self._may_start = False
            if started is None or not started.alive() or now - waiting.since > self._idle_seconds:
                queue.remove(waiting)
                self._give_up(waiting)

    async def _beat(self) -> None:
        for queue, waiting in self._done():
            started = _outcome(waiting.task)
            if started is not None and waiting in queue:
                with contextlib.suppress(ConnectionError):
                    await started.send(wire.IDLE_BEAT)

    def _done(self) -> Iterator[tuple[deque[_Waiting], _Waiting]]:
        everything = [(queue, waiting) for queue in self._waiting.values() for waiting in queue]
        return ((queue, waiting) for queue, waiting in everything if waiting.task.done())

    def _fill(self) -> None:
        now = asyncio.get_running_loop().time()
        for key, queue in self._waiting.items():
            while len(queue) < self.size:
                queue.append(_Waiting(asyncio.create_task(self._begin(key)), now))

    async def _begin(self, key: Hashable) -> WarmSandbox:
        started = await self._start(key)
        failpoint("sandbox.refilled")
        return started

    def _give_up(self, waiting: _Waiting) -> None:
        ending = asyncio.create_task(_end(waiting.task))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """End all that wait and all that are being started."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait({self._tending})
            self._tending = None
        while self._waiting:
            for waiting in self._waiting.popitem()[1]:
                self._give_up(waiting)
        if self._endings:
            await asyncio.wait(self._endings)


async def _end(task: asyncio.Task[WarmSandbox]) -> None:
    task.cancel()
    await asyncio.wait({task})
    started = _outcome(task)
    if started is not None:
        # What could not be removed is for its backend's reaper.
        with contextlib.suppress(SandboxUnavailable):
            await started.end()


def _outcome(task: asyncio.Task[WarmSandbox]) -> WarmSandbox | None:
    return None if task.cancelled() or task.exception() else task.result()

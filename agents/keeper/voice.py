"""What a keeper says for its slot processes: heartbeats, outcomes of what it ended, and who has left.

One task sends heartbeats and farewells in turn, so that none of a process follows its farewell. The processes
themselves send only what must come before a step of theirs: the first heartbeat, and that of a suspect.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from agents.worker.messages import WorkerMessages
from contracts.base.errors import BusUnavailable
from contracts.base.identifiers import new_id
from contracts.messages.channels import Channels
from contracts.messages.events import TaskEvent
from contracts.messages.payloads import Control, Heartbeat
from contracts.ports.bus import Delivery, MessageBus, Outgoing
from contracts.runtime.outbox import Outbox
from contracts.runtime.resend import Reply, ResendPolicy
from contracts.runtime.subscription import SubscriptionLoop

CONFIRM_SECONDS: Final = 30.0
"""How long a farewell waits for the confirmation of the outcomes before it."""
_RESEND: Final = ResendPolicy(2.0, 30.0)

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Farewell:
    """The end of one process, until it is said."""

    worker_id: str
    messages: tuple[Outgoing, ...]
    after: frozenset[str] = frozenset()
    """Dispatches whose outcome is to be heard first: what comes from a worker that left may be refused."""
    heartbeat: Heartbeat | None = None
    """Sent until then."""
    until: float = field(default_factory=lambda: time.monotonic() + CONFIRM_SECONDS)
    """Monotonic; then it is said in any case."""


class Voice:
    """Speaks and listens for all processes of a keeper."""

    def __init__(
        self,
        bus: MessageBus,
        seconds: float,
        heartbeats: Callable[[int], Iterable[Heartbeat]],
        recalled: Callable[[str], None],
    ) -> None:
        """`heartbeats` gives those of all living processes, which are sent every `seconds`; `recalled` hears
        of dispatches that nobody waits for."""
        self._bus = bus
        self._seconds = seconds
        self._heartbeats = heartbeats
        self._recalled = recalled
        self._sequence = 0
        self._farewells: list[Farewell] = []
        self._changed = asyncio.Event()
        self._channels: frozenset[str] = frozenset()
        self._rechanneled = asyncio.Event()
        self._outbox = Outbox(bus, Channels.WORKERS_GROUP, _RESEND)

    def messages(self, worker_id: str) -> WorkerMessages:
        """Wraps what is said in the name of a process."""
        return WorkerMessages(worker_id, time.time, new_id)

    def listen_for(self, worker_ids: Iterable[str]) -> None:
        """Hear what is said to these processes, and to those whose outcome is not confirmed yet.

        A process whose event loop turns listens itself: to hear all that is said to it a second time would
        take as long as a short task takes.
        """
        waiting = {farewell.worker_id for farewell in self._farewells if farewell.after}
        channels = frozenset(Channels.control(name) for name in waiting.union(worker_ids))
        if channels != self._channels:
            self._channels = channels
            self._rechanneled.set()

    def answer(self, dispatch_id: str, execution_id: str, outcome: Outgoing, entry: Delivery) -> None:
        """Send an outcome until it is confirmed, and acknowledge the entry of its request with it."""
        self._outbox.reply(Reply(dispatch_id, execution_id, outcome, owed=[entry]))

    def forget(self, entry: Delivery) -> None:
        """Acknowledge the entry of a request whose outcome nobody waits for."""
        self._outbox.ack(entry)

    def bid_farewell(self, farewell: Farewell) -> None:
        """Say this as soon as it may be said, and until the bus has heard it."""
        self._farewells.append(farewell)
        self._changed.set()

    async def speak(self) -> None:
        """Send heartbeats and farewells until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            self._changed.clear()
            beating = clock() >= due
            if beating:
                due = clock() + self._seconds
            try:
                await self._send(beating=beating)
            except BusUnavailable as error:
                _log.debug("bus_unavailable", error=str(error))
                await asyncio.sleep(0.1)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - clock())):
                    await self._changed.wait()

    async def flush(self) -> None:
        """Send once what is due, and all farewells. Raises BusUnavailable."""
        await self._outbox.flush()
        await self._say(self._farewells)

    async def keep_answering(self) -> None:
        """Send outcomes until cancelled."""
        await self._outbox.run()

    async def listen(self) -> None:
        """Listen until cancelled, always to the channels wanted last.

        Who listens to other channels begins before its predecessor ends, so that nothing is missed between.
        """
        async with asyncio.TaskGroup() as listeners:
            predecessor: asyncio.Task[None] | None = None
            while True:
                await self._rechanneled.wait()
                self._rechanneled.clear()
                successor = None
                if self._channels:
                    loop = SubscriptionLoop(self._bus, sorted(self._channels), self._handle)
                    successor = listeners.create_task(loop.run())
                    await loop.listening.wait()
                if predecessor is not None:
                    predecessor.cancel()
                predecessor = successor

    async def _send(self, *, beating: bool) -> None:
        ready = [each for each in self._farewells if self._may_say(each)]
        if beating:
            waiting = [each.heartbeat for each in self._farewells if each not in ready and each.heartbeat]
            beats = [*self._heartbeats(self._sequence), *waiting]
            self._sequence += 1
            if beats:
                await self._bus.broadcast([self.messages(one.worker_id).heartbeat(one) for one in beats])
        await self._say(ready)

    def _may_say(self, farewell: Farewell) -> bool:
        return not farewell.after.intersection(self._outbox.keys) or time.monotonic() >= farewell.until

    async def _say(self, farewells: Sequence[Farewell]) -> None:
        said = list(farewells)
        if said:
            await self._bus.broadcast([message for each in said for message in each.messages])
            self._farewells = [each for each in self._farewells if each not in said]

    async def _handle(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, Control):
            self._outbox.confirm(event.data.acknowledged)
            for dispatch_id in event.data.recalled:
                self._outbox.discard(dispatch_id)
                self._recalled(dispatch_id)
            self._changed.set()

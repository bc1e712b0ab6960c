"""What fills the inbox: outcomes, heartbeats, commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.base.failpoints import failpoint
from contracts.messages.channels import Channels
from contracts.messages.events import TaskEvent
from contracts.messages.payloads import Heartbeat, WorkerLeft
from contracts.ports.bus import ConsumePort, Delivery, SubscribePort
from contracts.runtime.subscription import SubscriptionLoop
from orchestrator.core.sharding import ShardAssignment
from orchestrator.service.fleet.recovery import DrainGate
from orchestrator.service.inbox import Arrivals, Drained, InboxMessage
from orchestrator.storage.store import COMMANDS, Store

CONSUMER = "orchestrator"
BLOCK_MS = 100
POLL_SECONDS = 1.0
PAGE_SECONDS = 0.01


class IncomingBus(ConsumePort, SubscribePort, Protocol):
    """Outcomes on streams, heartbeats and hints on channels."""


class OutcomeReader:
    """Reads outcomes into the inbox, and answers there when the gate asks whether all so far are read."""

    def __init__(
        self, bus: ConsumePort, streams: Sequence[str], inbox: Arrivals, batch: int, gate: DrainGate
    ) -> None:
        """`batch`: how many entries of each stream one read may return."""
        self._bus = bus
        self._streams = streams
        self._inbox = inbox
        self._batch = batch
        self._gate = gate
        self._knows_pending = False

    async def read(self, block_ms: int) -> None:
        """Read once, and wait so long for something new unless the gate was asked.

        Raises BusUnavailable; the answer to a read may be lost then, and its entries are pending.
        """
        try:
            await self._read(block_ms)
        except GroupMissing:
            self._knows_pending = False
        except BusUnavailable:
            self._knows_pending = False
            raise

    async def _read(self, block_ms: int) -> None:
        if not self._knows_pending:
            await self._read_pending()
            self._knows_pending = True
        asked = self._gate.asked
        is_asked = asked > self._gate.answered
        deliveries = await self._bus.read(
            self._streams,
            Channels.ORCHESTRATORS_GROUP,
            CONSUMER,
            count=self._batch,
            block_ms=0 if is_asked else block_ms,
        )
        if deliveries:
            failpoint("orchestrator.after_read")
        for delivery in deliveries:
            await self._inbox.put(delivery)
        if is_asked and not self._may_hold_more(deliveries):
            self._gate.answered = asked
            await self._inbox.put(Drained(asked))

    def _may_hold_more(self, deliveries: Sequence[Delivery]) -> bool:
        """Whether a stream returned as many entries as one read may."""
        counts = Counter(delivery.stream for delivery in deliveries)
        return any(count >= self._batch for count in counts.values())

    async def _read_pending(self) -> None:
        """Read first what an earlier term, or a read without an answer, got and did not acknowledge."""
        for stream in self._streams:
            await self._bus.ensure_group(stream, Channels.ORCHESTRATORS_GROUP)
            for delivery in await self._bus.pending(stream, Channels.ORCHESTRATORS_GROUP, CONSUMER):
                await self._inbox.put(delivery)


class Sources:
    """Runs one coroutine for each source. Waits out outages of the bus; those of the database end the term.

    Outcomes and commands are those of the term's shards; heartbeats are those of all workers. The owner of
    shard 0 reads the dead letters.
    """

    def __init__(
        self,
        bus: IncomingBus,
        store: Store,
        assignment: ShardAssignment,
        inbox: asyncio.Queue[InboxMessage],
        batch: int,
        gate: DrainGate,
    ) -> None:
        self._bus = bus
        self._store = store
        self._assignment = assignment
        self._inbox = inbox
        self._batch = batch
        self._gate = gate
        dead_letters = [Channels.DEAD_LETTERS] if 0 in assignment.epochs else []
        self._streams = [*(Channels.results(shard) for shard in sorted(assignment.epochs)), *dead_letters]
        self._poll_now = asyncio.Event()

    def jobs(self) -> list[Coroutine[None, None, None]]:
        """The coroutines to run."""
        heartbeats = SubscriptionLoop(self._bus, [Channels.HEARTBEATS], self._on_heartbeat)
        notices = SubscriptionLoop(self._bus, [Channels.COMMANDS], self._on_command_notice)
        return [self._outcomes(), heartbeats.run(), notices.run(), self._commands()]

    async def _outcomes(self) -> None:
        reader = OutcomeReader(self._bus, self._streams, self._inbox, self._batch, self._gate)
        while True:
            try:
                await reader.read(BLOCK_MS)
            except BusUnavailable:
                await asyncio.sleep(POLL_SECONDS / 4)
            # The term handles what was read before the next read is sent.
            await asyncio.sleep(0)

    async def _on_heartbeat(self, event: TaskEvent[Any]) -> None:
        if isinstance(event.data, Heartbeat | WorkerLeft):
            await self._inbox.put(event.data)

    async def _on_command_notice(self, _event: TaskEvent[Any]) -> None:
        self._poll_now.set()

    async def _commands(self) -> None:
        seen: set[str] = set()
        while True:
            waiting = await self._store.waiting_commands(self._assignment)
            for command in waiting:
                if command.command_id not in seen:
                    await self._inbox.put(command)
            seen = {command.command_id for command in waiting}
            # Behind a full page there may be another, which can be read once these were applied.
            pause = PAGE_SECONDS if len(waiting) >= COMMANDS else POLL_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._poll_now.wait()
            self._poll_now.clear()

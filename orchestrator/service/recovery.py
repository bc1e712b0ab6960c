"""Finds lost dispatches: those that neither a worker nor the bus holds (I1, I4, I5).

A dispatch stays on its stream, unread or pending, from its publication until its outcome was published. So a
dispatch that is missing there, and whose outcome is still unknown after all outcomes up to that inspection
were read, was never published or was lost: it must be published again. Nothing else is: what succeeded does
not run twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from contracts.base.errors import BusUnavailable, DecodeError
from contracts.messages.channels import Channels
from contracts.messages.events import decode
from contracts.messages.payloads import Heartbeat
from contracts.ports.bus import ConsumePort, Delivery, InspectPort
from orchestrator.core.sharding import ShardAssignment
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import request_stream

logger = structlog.get_logger(__name__)


class RequestStreams(ConsumePort, InspectPort, Protocol):
    """The streams of dispatches: who holds what, and its acknowledgement on behalf of a dead worker."""


@dataclass(slots=True)
class DrainGate:
    """How the reader of outcomes reports that it has read everything up to the moment it was asked."""

    asked: int = 0
    """The newest ticket."""
    answered: int = 0
    """The newest ticket that was answered."""

    def ask(self) -> int:
        """Issue a ticket; `Drained` with it, or a later one, is the answer."""
        self.asked += 1
        return self.asked


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What a dead worker had read."""

    dispatch_ids: list[str]
    unreadable: list[Delivery]
    """Messages that cannot be decoded."""


@dataclass(slots=True)
class Recovery:
    """Inspects the streams, waits for the outcomes, and names what must be published again."""

    bus: RequestStreams
    engine: Engine
    leases: Leases
    gate: DrainGate
    assignment: ShardAssignment
    _missing: dict[int, list[str]] = field(default_factory=dict)
    """Missing dispatches by the ticket after which all outcomes before the inspection are known."""

    async def find_missing(self, dispatch_ids: Iterable[str]) -> bool:
        """Remember which of these dispatches no worker and no stream holds; False when the bus is away."""
        names = [
            name for name in dispatch_ids if name in self.engine.in_flight and not self.leases.is_held(name)
        ]
        if not names:
            return True
        try:
            present = await self._present(names)
        except BusUnavailable:
            return False
        absent = [name for name in names if name not in present]
        if absent:
            self._missing[self.gate.ask()] = absent
        return True

    async def _present(self, names: list[str]) -> set[str]:
        streams = set()
        for name in names:
            workflow_id, task_id = self.engine.in_flight[name]
            streams.add(request_stream(self.engine.workflows[workflow_id].tasks[task_id]))
        present = set()
        for stream in streams:
            orphaned = await self.bus.orphaned(stream, Channels.WORKERS_GROUP)
            await self.bus.ack(Channels.WORKERS_GROUP, orphaned)
            entries = await self.bus.entries(stream)
            await self.bus.ack(Channels.WORKERS_GROUP, self._redundant(entries))
            present.update(_ids(entries))
        return present

    def _redundant(self, entries: Iterable[Delivery]) -> list[Delivery]:
        """Entries out of date, and copies: each copy of a dispatch that kills its worker kills another."""
        seen: set[str] = set()
        found = []
        for delivery in entries:
            for dispatch_id in _ids([delivery]):
                if dispatch_id in seen or (
                    dispatch_id not in self.engine.in_flight and self._is_mine(delivery)
                ):
                    found.append(delivery)
                seen.add(dispatch_id)
        return found

    def confirm_missing(self, ticket: int) -> list[str]:
        """The missing dispatches of inspections up to this ticket that are still in flight and not held."""
        asked = [number for number in self._missing if number <= ticket]
        names = [name for number in asked for name in self._missing.pop(number)]
        lost = [name for name in names if name in self.engine.in_flight and not self.leases.is_held(name)]
        if lost:
            logger.warning("dispatches_republished", count=len(lost))
        return lost

    @property
    def streams(self) -> list[str]:
        """The request streams of the dispatches in flight."""
        tasks = (
            self.engine.workflows[workflow].tasks[task] for workflow, task in self.engine.in_flight.values()
        )
        return sorted({request_stream(task) for task in tasks})

    def stale_executions(self, heartbeat: Heartbeat) -> list[tuple[str, str]]:
        """(workflow id, dispatch id) of what a worker runs for these shards though it is out of date."""
        return [
            (one.workflow_id, one.dispatch_id)
            for one in heartbeat.executions
            if one.workflow_id
            and self.assignment.has(one.workflow_id)
            and one.dispatch_id not in self.engine.in_flight
        ]

    async def unknown_consumers(self) -> set[str] | None:
        """Consumers that hold entries but never sent a heartbeat; None when the bus is unavailable.

        A heartbeat is a broadcast and may be lost, and its worker may die before the next one.
        """
        found: set[str] = set()
        try:
            for stream in self.streams:
                found.update(await self.bus.consumers(stream, Channels.WORKERS_GROUP))
        except BusUnavailable:
            return None
        return found - self.leases.workers.keys()

    async def reclaim(self, worker_id: str, streams: Iterable[str]) -> Reclaimed | None:
        """Acknowledge what a dead worker had read of these shards; None when the bus is unavailable.

        Entries of other orchestrators stay pending until they reclaim them: only they can publish them again.
        """
        reclaimed: list[Delivery] = []
        try:
            for stream in streams:
                held = await self.bus.pending(stream, Channels.WORKERS_GROUP, worker_id)
                mine = [delivery for delivery in held if self._is_mine(delivery)]
                await self.bus.ack(Channels.WORKERS_GROUP, mine)
                await self.bus.forget_consumer(stream, Channels.WORKERS_GROUP, worker_id)
                reclaimed += mine
        except BusUnavailable:
            return None
        return Reclaimed(_ids(reclaimed), [one for one in reclaimed if not _ids([one])])

    def _is_mine(self, delivery: Delivery) -> bool:
        try:
            return self.assignment.has(decode(delivery.payload).workflowid)
        except DecodeError:
            return self.assignment.has(None)


def _ids(deliveries: Iterable[Delivery]) -> list[str]:
    """The dispatch ids of those that can be read."""
    found = []
    for delivery in deliveries:
        with suppress(DecodeError):
            found.append(decode(delivery.payload).id)
    return found

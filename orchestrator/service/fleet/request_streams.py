"""The streams of dispatches as the orchestrator sees them: who holds what of its shards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from contracts.base.errors import BusUnavailable, DecodeError
from contracts.messages.channels import Channels
from contracts.messages.events import decode
from contracts.ports.bus import ConsumePort, Delivery, InspectPort
from orchestrator.core.sharding import ShardAssignment
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import request_stream

_GROUP = Channels.WORKERS_GROUP


class RequestBus(ConsumePort, InspectPort, Protocol):
    """Who holds which dispatch, and its acknowledgement on behalf of somebody else."""


class Request(NamedTuple):
    """An entry of a request stream."""

    delivery: Delivery
    dispatch_id: str
    """Empty when it cannot be read."""
    mine: bool
    """Whether it is of these shards; what cannot be read is that of the owner of shard 0."""
    holder: str | None = None
    """The consumer that has read it, None when nobody has."""


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """What a worker had read that is gone or silent."""

    dispatch_ids: list[str]
    unreadable: list[Delivery]
    """Messages that cannot be decoded."""


@dataclass(frozen=True, slots=True)
class RequestStreams:
    """Looks at the request streams, and takes entries of these shards off them. Raises BusUnavailable."""

    bus: RequestBus
    engine: Engine
    leases: Leases
    assignment: ShardAssignment

    @property
    def in_use(self) -> list[str]:
        """The request streams of the dispatches in flight."""
        tasks = (
            self.engine.workflows[workflow].tasks[task] for workflow, task in self.engine.in_flight.values()
        )
        return sorted({request_stream(task) for task in tasks})

    async def tidied(self, stream: str) -> list[Request]:
        """The entries of a stream with their holders.

        Takes off what nobody works on, what is out of date, and copies: each copy of a dispatch that kills
        its worker kills another. What was only just taken off is still among those returned.
        """
        await self.take_off(await self.bus.orphaned(stream, _GROUP))
        found = await self._requests(stream)
        await self.take_off([one.delivery for one in _copies(found) + self._outdated(found)])
        return found

    async def clear(self, stream: str) -> dict[str, list[str]]:
        """Take unread requests that are out of date off a stream.

        Returns those that somebody has read already, by reader: it must be told to stop.
        """
        read: dict[str, list[str]] = {}
        unread = []
        for one in self._outdated(await self._requests(stream)):
            if one.holder is None:
                unread.append(one.delivery)
            else:
                read.setdefault(one.holder, []).append(one.dispatch_id)
        await self.take_off(unread)
        return read

    async def take_off(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge and delete these entries, whoever holds them."""
        if deliveries:
            await self.bus.ack(_GROUP, deliveries)

    async def _requests(self, stream: str) -> list[Request]:
        entries = await self.bus.entries(stream)
        # Asked for afterwards: what was read in between is known to be read.
        holders = await self.bus.holders(stream, _GROUP) if entries else {}
        return [self._request(one)._replace(holder=holders.get(one.entry_id)) for one in entries]

    def _request(self, delivery: Delivery) -> Request:
        try:
            event = decode(delivery.payload)
        except DecodeError:
            return Request(delivery, "", self.assignment.has(None))
        return Request(delivery, event.id, self.assignment.has(event.workflowid))

    def _outdated(self, found: Iterable[Request]) -> list[Request]:
        in_flight = self.engine.in_flight
        return [one for one in found if one.mine and one.dispatch_id and one.dispatch_id not in in_flight]

    async def unknown_consumers(self) -> set[str] | None:
        """Consumers that hold entries but never sent a heartbeat; None when the bus is unavailable.

        A heartbeat is a broadcast and may be lost, and its worker may die before the next one.
        """
        found: set[str] = set()
        try:
            for stream in self.in_use:
                found.update(await self.bus.consumers(stream, _GROUP))
        except BusUnavailable:
            return None
        return found - self.leases.workers.keys()

    async def reclaim(self, worker_id: str, streams: Iterable[str]) -> Reclaimed | None:
        """Acknowledge what a worker had read of these shards; None when the bus is unavailable.

        Entries of other orchestrators stay pending until they reclaim them: only they can publish them again.
        """
        reclaimed: list[Request] = []
        try:
            for stream in streams:
                held = [self._request(one) for one in await self.bus.pending(stream, _GROUP, worker_id)]
                mine = [one for one in held if one.mine]
                await self.bus.ack(_GROUP, [one.delivery for one in mine])
                await self.bus.forget_consumer(stream, _GROUP, worker_id)
                reclaimed += mine
        except BusUnavailable:
            return None
        return Reclaimed(
            [one.dispatch_id for one in reclaimed if one.dispatch_id],
            [one.delivery for one in reclaimed if not one.dispatch_id],
        )


def _copies(found: Iterable[Request]) -> list[Request]:
    seen: set[str] = set()
    copies = []
    for one in found:
        if one.dispatch_id and one.dispatch_id in seen:
            copies.append(one)
        seen.add(one.dispatch_id)
    return copies

"""Reading requests, so that none is stranded when the answer to a read is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Set
from typing import Final, TypeAlias

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from contracts.ports.bus import Delivery, MessageBus

LOOK_SECONDS: Final = 0.25

Entry: TypeAlias = tuple[str, str]
"""Stream and entry id. Two entries may carry the same dispatch."""


def entry(delivery: Delivery) -> Entry:
    """What names this delivery."""
    return delivery.stream, delivery.entry_id


class Reader:
    """Reads for one worker.

    A read that failed may have been served: its entries are then pending for a living worker that reads only
    new ones, and nobody else misses them (I1). So after a failure the reader first looks for what is pending
    and not `known`, the entries in the worker's hands.

    `suspects` are the streams of dispatches that run alone. They are rare: one is looked for now and then and
    between other work, so that neither the one kind nor the other has to wait long.
    """

    def __init__(
        self,
        bus: MessageBus,
        streams: Sequence[str],
        suspects: Sequence[str],
        worker_id: str,
        block_ms: int,
        known: Callable[[], Set[Entry]],
    ) -> None:
        self._bus = bus
        self._streams = streams
        self._suspects = suspects
        self._worker_id = worker_id
        self._block_ms = block_ms
        self._known = known
        self._doubtful_until: float | None = None
        self._look_at = 0.0
        self._may_look = True
        self.blocked = False

    async def read(self, count: int) -> list[Delivery]:
        """At most `count` entries whose answer was lost, else one suspect, else `count` new ones a stream.

        All that is returned must be `known` at the next call. Raises as MessageBus.read does.
        """
        try:
            return await self._unheard(count) or await self._suspect() or await self._new(count)
        except BusUnavailable:
            # Until then a server that has not noticed the cut may serve the read to nobody.
            self._doubtful_until = self._now() + self._block_ms / 1000
            raise

    async def _unheard(self, count: int) -> list[Delivery]:
        if self._doubtful_until is None:
            return []
        began = self._now()
        # Taken before the look: what is acknowledged meanwhile may still be in its answer.
        known = self._known()
        found = [
            delivery
            for stream in (*self._streams, *self._suspects)
            for delivery in await self._bus.pending(stream, Channels.WORKERS_GROUP, self._worker_id)
            if entry(delivery) not in known
        ]
        if not found and began >= self._doubtful_until:
            self._doubtful_until = None
        return found[:count]

    async def _suspect(self) -> list[Delivery]:
        if not self._may_look or self._now() < self._look_at:
            return []
        self._look_at = self._now() + LOOK_SECONDS
        for stream in self._suspects:
            # Stream by stream: a read of all gives one entry of each.
            if found := await self._read([stream], 1, 0):
                self._may_look = False
                return found
        return []

    async def _new(self, count: int) -> list[Delivery]:
        self._may_look = True
        return await self._read(self._streams, count, self._block_ms)

    async def _read(self, streams: Sequence[str], count: int, block_ms: int) -> list[Delivery]:
        self.blocked = True
        try:
            return await self._bus.read(
                streams, Channels.WORKERS_GROUP, self._worker_id, count=count, block_ms=block_ms
            )
        finally:
            self.blocked = False

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

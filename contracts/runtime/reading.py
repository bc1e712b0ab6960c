"""Reading streams, so that no message is stranded when the answer to a read is lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from contracts.base.errors import BusUnavailable
from contracts.ports.bus import Delivery

LOOK_SECONDS: Final = 0.25
"""How often an exclusive stream is looked at."""
_CUT_SECONDS: Final = 0.2
"""How long the end of a read, and the look at what it left, may take."""

Entry: TypeAlias = tuple[str, str]
"""Stream and entry id. Two entries may carry the same message."""


def entry(delivery: Delivery) -> Entry:
    """What names this delivery."""
    return delivery.stream, delivery.entry_id


@dataclass(frozen=True, slots=True)
class Source:
    """Where a consumer reads."""

    group: str
    """The consumer group."""

    consumer: str
    """The name within the group. Unique for the life of the process, so that nobody's pending entries are
    mistaken for its own."""

    streams: Sequence[str]

    exclusive_streams: Sequence[str] = ()
    """Streams of messages that run alone. They are rare: one is looked for now and then and between other
    work, so that neither the one kind nor the other has to wait long. Those that are in `streams` as well
    are read with the others."""

    block_ms: int = 250
    """How long a read waits for a message, in milliseconds."""

    creates_group: bool = False
    """Whether the consumer creates a missing group; else somebody does who hears its heartbeats."""

    in_turn: bool = False
    """Whether one message is taken from one stream, then one from the next, because what is read of several
    would have to wait."""


class ReadPort(Protocol):
    """What a reader uses of a bus; see ConsumePort."""

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]: ...

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]: ...


class Reader:
    """Reads for one consumer.

    A read that failed may have been served: its entries are then pending for a living consumer that reads
    only new ones, and nobody else misses them (I1). So after a failure the reader first looks for what is
    pending and not `known`.
    """

    def __init__(self, bus: ReadPort, source: Source, known: Callable[[], Set[Entry]]) -> None:
        """`known` gives the entries that the consumer has received and not acknowledged."""
        self._bus = bus
        self._source = source
        self._known = known
        self._doubtful_until: float | None = None
        self._look_at = 0.0
        self._may_look = True
        self._turns = deque(source.streams)
        self._more = True
        self.blocked = False
        """Whether a read is under way, which may be served even when it is cancelled."""

    async def read(self, count: int) -> list[Delivery]:
        """Return entries whose delivery was lost; if none, one exclusive entry; if none, new ones.

        count: at most so many, of new ones for each stream.

        All that is returned must be `known` at the next call. Raises as ConsumePort.read does.
        """
        try:
            return await self._unheard(count) or await self._exclusive() or await self._new(count)
        except BusUnavailable:
            # Until then a server that has not noticed the cut may serve the read to nobody.
            self._doubtful_until = self._now() + self._source.block_ms / 1000
            raise

    async def unheard(self) -> list[Delivery]:
        """Entries that were delivered, and are not `known`. Raises BusUnavailable."""
        # Collected before the look: what is acknowledged meanwhile may still be in its answer.
        known, source = self._known(), self._source
        return [
            delivery
            for stream in dict.fromkeys((*source.streams, *source.exclusive_streams))
            for delivery in await self._bus.pending(stream, source.group, source.consumer)
            if entry(delivery) not in known
        ]

    async def cut(self, reading: asyncio.Task[None]) -> list[Delivery]:
        """End the task whose read waits; what it was served all the same, which is to be handed back.

        What a server serves later, to a connection whose end it has not noticed, is reclaimed by others as
        from a consumer that died.
        """
        reading.cancel()
        with suppress(BusUnavailable, TimeoutError):
            async with asyncio.timeout(_CUT_SECONDS):
                await asyncio.wait([reading])
                return await self.unheard()
        return []

    async def _unheard(self, count: int) -> list[Delivery]:
        if self._doubtful_until is None:
            return []
        began = self._now()
        found = await self.unheard()
        if not found and began >= self._doubtful_until:
            self._doubtful_until = None
        return found[:count]

    async def _exclusive(self) -> list[Delivery]:
        if not self._may_look or self._now() < self._look_at:
            return []
        self._look_at = self._now() + LOOK_SECONDS
        for stream in self._source.exclusive_streams:
            if stream in self._source.streams:
                continue
            # Stream by stream: a read of all gives one entry of each.
            if found := await self._read([stream], 1, 0):
                self._may_look = False
                return found
        return []

    async def _new(self, count: int) -> list[Delivery]:
        self._may_look = True
        if not self._source.in_turn:
            return await self._read(self._source.streams, count, self._source.block_ms)
        found = await self._next() or await self._read(tuple(self._turns), 1, self._source.block_ms)
        # After a read that waited in vain there is nothing to find without waiting.
        self._more = bool(found)
        return found

    async def _next(self) -> list[Delivery]:
        """One message of the first stream that has any, beginning with the one after the last."""
        for _ in range(len(self._turns) if self._more else 0):
            self._turns.rotate(-1)
            if found := await self._read([self._turns[-1]], 1, 0):
                return found
        return []

    async def _read(self, streams: Sequence[str], count: int, block_ms: int) -> list[Delivery]:
        self.blocked = True
        try:
            return await self._bus.read(
                streams, self._source.group, self._source.consumer, count=count, block_ms=block_ms
            )
        finally:
            self.blocked = False

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

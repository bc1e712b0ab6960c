"""A bus that loses the answers to reads."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.base.errors import BusUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.bus import Delivery


class DeafBus(MemoryBus):
    """Does the real read, and loses its answer as often as it is told when there is one to lose."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.lose = 0
        self.reads = 0
        self.lost: list[Delivery] = []

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        self.reads += 1
        found = await super().read(streams, group, consumer, count=count, block_ms=block_ms)
        if found and self.lose:
            self.lose -= 1
            self.lost += found
            raise BusUnavailable("the answer was lost")
        return found

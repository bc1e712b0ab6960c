"""What the server in memory keeps of those that went."""

from __future__ import annotations

from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus


async def test_it_delivers_to_nobody_who_is_gone() -> None:
    broker = MemoryBroker()
    bus = MemoryBus(broker)
    subscription = bus.subscribe(["heartbeats"])
    await subscription.ready()
    assert len(broker._listeners) == 1
    await subscription.close()
    assert len(broker._listeners) == 0
    await subscription.close()
    assert [message async for message in subscription] == []
    assert len(broker._listeners) == 0, "nor after a last look"

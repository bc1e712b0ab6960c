"""How outcomes are read."""

from __future__ import annotations

import asyncio

from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.bus import Delivery, Outgoing
from orchestrator.service.fleet.recovery import DrainGate
from orchestrator.service.inbox import Drained, InboxMessage
from orchestrator.service.sources import OutcomeReader


class Asked(MemoryBus):
    """Counts how often it was asked for what is pending."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.count = 0

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        self.count += 1
        return await super().pending(stream, group, consumer)


async def test_what_an_earlier_term_left_is_read_once_and_again_after_a_loss() -> None:
    bus = Asked()
    inbox: asyncio.Queue[InboxMessage] = asyncio.Queue()
    reader = OutcomeReader(bus, ["results"], inbox, batch=10, gate=DrainGate())
    for expected in (1, 1):
        await bus.publish([Outgoing("results", b"{}")])
        await reader.read(0)
        assert bus.count == expected
    assert inbox.qsize() == 2
    bus.broker.lose_memory()
    await reader.read(0)
    await reader.read(0)
    assert bus.count == 2


async def test_the_gate_is_answered_after_what_was_there() -> None:
    bus, gate = Asked(), DrainGate()
    inbox: asyncio.Queue[InboxMessage] = asyncio.Queue()
    reader = OutcomeReader(bus, ["results"], inbox, batch=10, gate=gate)
    await bus.publish([Outgoing("results", b"{}")])
    ticket = gate.ask()
    await reader.read(60_000)
    assert isinstance(inbox.get_nowait(), Delivery)
    assert inbox.get_nowait() == Drained(ticket)

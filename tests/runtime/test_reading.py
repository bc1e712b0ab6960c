"""Reads that the server answered and nobody heard, and the turns of streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from contracts.base.errors import BusUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.ports.bus import Outgoing
from contracts.runtime.reading import Entry, Reader, Source, entry
from tests.agents.owner import CODER, SUSPECTS, until
from tests.runtime.deaf_bus import DeafBus


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def bus(broker: MemoryBroker) -> AsyncIterator[DeafBus]:
    made = DeafBus(broker)
    yield made
    await made.close()


def _source(*exclusive: str, block_ms: int = 0) -> Source:
    return Source(Channels.WORKERS_GROUP, "w", [CODER], exclusive, block_ms)


async def _publish(bus: MemoryBus, *payloads: bytes) -> None:
    await bus.publish([Outgoing(CODER, payload) for payload in payloads])


async def test_a_read_that_is_served_after_the_cut_is_found(bus: DeafBus, broker: MemoryBroker) -> None:
    known: set[Entry] = set()
    reader = Reader(bus, _source(block_ms=60_000), lambda: known)
    await bus.ensure_group(CODER, Channels.WORKERS_GROUP)
    await _publish(bus, b"1")
    bus.lose = 1
    with pytest.raises(BusUnavailable):
        await reader.read(1)
    [first] = await reader.read(1)
    known.add(entry(first))
    await _publish(bus, b"2", b"3")
    [second] = await reader.read(1)
    known.add(entry(second))
    late = await MemoryBus(broker).read([CODER], Channels.WORKERS_GROUP, "w", count=1, block_ms=0)
    assert await reader.read(1) == late
    assert [first.payload, second.payload, late[0].payload] == [b"1", b"2", b"3"]


async def test_no_more_looks_are_taken_than_a_failure_asks_for(bus: DeafBus, broker: MemoryBroker) -> None:
    reader = Reader(bus, _source(), set)
    await bus.ensure_group(CODER, Channels.WORKERS_GROUP)
    broker.stop()
    with pytest.raises(BusUnavailable):
        await reader.read(1)
    broker.start()
    await bus.ensure_group(CODER, Channels.WORKERS_GROUP)
    assert await reader.read(1) == []
    await _publish(bus, b"1")
    [pending] = await reader.read(1)
    # It is pending and not known, and only a look could find it.
    assert await bus.pending(CODER, Channels.WORKERS_GROUP, "w") == [pending]
    assert await reader.read(1) == []


async def test_between_two_suspects_other_work_has_its_turn(bus: DeafBus) -> None:  # I7
    reader = Reader(bus, _source(SUSPECTS), set)
    for stream in (CODER, SUSPECTS):
        await bus.ensure_group(stream, Channels.WORKERS_GROUP)
    await bus.publish([Outgoing(stream, b"x") for stream in (SUSPECTS, SUSPECTS, CODER, CODER)])
    clock = asyncio.get_running_loop().time
    order = [one.stream for one in await reader.read(1)]
    over = clock() + 0.5
    await until(lambda: clock() > over)  # as if the suspect took long
    for _ in range(2):
        order += [one.stream for one in await reader.read(1)]
    assert order == [SUSPECTS, CODER, SUSPECTS]

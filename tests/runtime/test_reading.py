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


async def test_in_turn_one_message_is_taken_from_one_stream_and_then_from_the_next(bus: DeafBus) -> None:
    streams = [Channels.requests(role) for role in ("a", "b", "c")]
    known: set[Entry] = set()
    source = Source(Channels.WORKERS_GROUP, "w", streams, block_ms=0, in_turn=True)
    reader = Reader(bus, source, lambda: known)
    for stream in streams:
        await bus.ensure_group(stream, Channels.WORKERS_GROUP)
    await bus.publish([Outgoing(stream, f"{stream[-1]}{n}".encode()) for stream in streams for n in (1, 2)])
    taken = []
    for _ in range(6):
        [found] = await reader.read(5)
        known.add(entry(found))
        taken.append(found.payload)
    assert sorted(taken[:3]) == [b"a1", b"b1", b"c1"]
    assert sorted(taken[3:]) == [b"a2", b"b2", b"c2"]
    assert await reader.read(1) == []
    assert await reader.read(1) == []
    await bus.publish([Outgoing(streams[0], b"a3")])
    assert len(await reader.read(1)) == 1, "it is looked at all streams again"
    others = [stream for stream in streams if stream != next(iter(reader._turns))]
    await bus.publish([Outgoing(stream, b"x") for stream in others])
    assert len(await reader.read(1)) == 1, "an empty stream is passed over, not all are read at once"


async def test_what_runs_alone_and_is_read_with_the_others_is_not_looked_for_besides(bus: DeafBus) -> None:
    source = Source(Channels.WORKERS_GROUP, "w", [SUSPECTS], [SUSPECTS], block_ms=0, in_turn=True)
    reader = Reader(bus, source, set)
    await bus.ensure_group(SUSPECTS, Channels.WORKERS_GROUP)
    before = bus.reads
    assert await reader.read(1) == []
    assert bus.reads == before + 2, "one without waiting, one that waits"

"""Reads that the server answered and nobody heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from agents import agent
from agents.worker.reading import Entry, Reader, entry
from artifacts import GitArtifactStore
from contracts.base.errors import BusUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import encode
from contracts.ports.bus import Delivery, Outgoing
from tests.agents.actors import Gate
from tests.agents.owner import CODER, SUSPECTS, Owner, running, until, worker
from tests.agents.support import request_event, task_request


class DeafBus(MemoryBus):
    """Does the real read, and loses its answer as often as it is told when there is one to lose."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.lose = 0
        self.lost: list[Delivery] = []

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        found = await super().read(streams, group, consumer, count=count, block_ms=block_ms)
        if found and self.lose:
            self.lose -= 1
            self.lost += found
            raise BusUnavailable("the answer was lost")
        return found


@pytest.fixture
async def bus(broker: MemoryBroker) -> AsyncIterator[DeafBus]:
    made = DeafBus(broker)
    yield made
    await made.close()


async def test_i1_what_a_lost_answer_held_is_executed_once(
    bus: DeafBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    gate.open.set()
    bus.lose = 1
    async with running(worker(bus, store, gate.agent(), resend_seconds=600)):
        await owner.dispatch(task_request())
        assert (await owner.outcome()).status == "succeeded"
        await owner.settled()
    assert len(bus.lost) == 1
    assert gate.entered == ["d1"]


async def test_i2_a_lost_answer_repeats_nothing_that_is_held(
    bus: DeafBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    async with running(worker(bus, store, gate.agent(), slots=3, resend_seconds=600)):
        await owner.dispatch(task_request())
        await until(lambda: gate.entered == ["d1"])
        [held] = await owner.unacknowledged()
        bus.lose = 1
        await owner.dispatch(task_request(), task_request(dispatch_id="d2", task_id="t2"))
        await until(lambda: gate.entered == ["d1", "d2"])
        await owner.left_in(CODER, 2)
        # The entry of what runs is not the duplicate: it stays until there is an outcome.
        assert (await owner.unacknowledged())[0] == held
        gate.open.set()
        assert {event.data.dispatch_id for event in await owner.outcomes(2)} == {"d1", "d2"}
        await owner.settled()
    assert len(bus.lost) == 2
    assert gate.entered == ["d1", "d2"]


async def test_i9_what_a_lost_answer_held_waits_for_free_slots(
    bus: DeafBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    both = gate.agent()
    agent(role="coder", tags=("rust",))(both)
    rust = Channels.requests("coder", "rust")
    await owner.serve(rust)
    await owner.dispatch(task_request())
    tagged = task_request(dispatch_id="d2", task_id="t2", required_tag="rust")
    await owner.dispatch_raw(encode(request_event(tagged)), stream=rust)
    bus.lose = 1
    async with running(worker(bus, store, both, slots=1, resend_seconds=600)):
        await until(lambda: len(gate.entered) == 1)
        seen = len(owner.heartbeats)
        await until(lambda: len(owner.heartbeats) > seen + 2)
        assert max(len(beat.executions) for beat in owner.heartbeats) == 1
        gate.open.set()
        assert {event.data.dispatch_id for event in await owner.outcomes(2)} == {"d1", "d2"}
        await owner.settled()
        await owner.settled(rust)
    assert len(bus.lost) == 2
    assert sorted(gate.entered) == ["d1", "d2"]


async def test_i1_what_is_lost_when_the_worker_leaves_stays_pending(
    bus: DeafBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    bus.lose = 1
    made = worker(bus, store, gate.agent())
    async with running(made):
        await owner.dispatch(task_request())
        await until(lambda: bool(bus.lost))
        made.stop()
    await until(lambda: bool(owner.left))
    assert await owner.unacknowledged() == bus.lost


async def _publish(bus: MemoryBus, *payloads: bytes) -> None:
    await bus.publish([Outgoing(CODER, payload) for payload in payloads])


async def test_a_read_that_is_served_after_the_cut_is_found(bus: DeafBus, broker: MemoryBroker) -> None:
    known: set[Entry] = set()
    reader = Reader(bus, [CODER], [], "w", 60_000, lambda: known)
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
    reader = Reader(bus, [CODER], [], "w", 0, set)
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
    reader = Reader(bus, [CODER], [SUSPECTS], "w", 0, set)
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

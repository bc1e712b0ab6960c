"""Which rows people see of the workers, and what the bus keeps of them."""

from __future__ import annotations

from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from tests.orchestrator.fleet import CODER, LEASE, Fleet, beat, left
from tests.orchestrator.plans import item


async def test_each_worker_has_a_row_of_its_own() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1", slots=1), beat("w2", slots=4))
    assert {name: row.slots for name, row in fleet.rows.present.items()} == {"w1": 1, "w2": 4}


async def test_the_workers_of_a_keeper_share_a_row() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1", keeper="k", slots=1), beat("w2", keeper="k", slots=4))
    assert {name: row.slots for name, row in fleet.rows.present.items()} == {"k": 5}


async def test_one_that_left_is_shown_again_when_it_is_back() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1"))
    await fleet.step(left("w1"))
    assert (fleet.rows.present, fleet.workers.register.count) == ({}, 0)
    await fleet.step(beat("w1"))
    assert list(fleet.rows.present) == ["w1"]


async def test_the_bus_forgets_a_consumer_that_died() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1"))
    [name] = await fleet.read("w1")
    await fleet.step(beat("w1", name), left("w1", died=True))
    _, group = fleet.bus.broker.group(CODER, Channels.WORKERS_GROUP)
    assert "w1" not in group.pending


async def test_a_group_that_was_lost_is_there_after_the_next_inspection() -> None:
    """Without a word of the bus or of a worker."""
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1"))
    await fleet.step(beat("w1"), seconds=LEASE - 0.25)
    fleet.bus.broker.made_stream(CODER).groups.clear()
    await fleet.step(seconds=0.5)
    assert await MemoryBus(fleet.bus.broker).consumers(CODER, Channels.WORKERS_GROUP) == []
    assert Channels.WORKERS_GROUP in fleet.bus.broker.made_stream(CODER).groups


async def test_what_one_had_read_that_died_in_an_outage_is_looked_for_within_half_a_lease() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1"))
    [name] = await fleet.read("w1")
    await fleet.step(beat("w1"), seconds=LEASE)
    broker = fleet.bus.broker
    streams = dict(broker._streams)
    broker.stop()
    await fleet.step(left("w1", died=True))
    broker.start()
    broker._streams = streams
    await fleet.wait(LEASE / 2 + 1)
    assert await fleet.read("w2") == [name]

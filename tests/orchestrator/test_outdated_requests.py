"""What is cancelled or otherwise out of date is taken off its stream, and nobody starts it."""

from __future__ import annotations

from orchestrator.core.events import Overdue
from tests.orchestrator.fleet import CODER, NAME, Fleet, beat
from tests.orchestrator.plans import item

MANY = tuple(item(f"t{number}") for number in range(20))


async def test_what_is_cancelled_lies_on_no_stream() -> None:
    fleet = Fleet(*MANY)
    await fleet.step()
    assert len(await fleet.on_stream()) == 20
    await fleet.cancel()
    assert await fleet.on_stream() == []


async def test_what_was_read_in_the_last_moment_is_recalled_at_once() -> None:
    fleet = Fleet(*MANY)
    await fleet.step(beat("w1"))
    names = await fleet.read("w1", count=2)
    await fleet.cancel()
    assert [(worker, said.recalled) for worker, said in fleet.bus.told] == [("w1", tuple(names))]
    assert await fleet.on_stream() == names, "the worker takes off what it has read"


async def test_what_belongs_to_others_stays() -> None:
    fleet = Fleet(*MANY)
    await fleet.step()
    [sent] = (await fleet.bus.entries(CODER))[:1]
    fleet.epochs.clear()
    await fleet.cancel()
    assert len(await fleet.on_stream()) == 20
    assert sent in await fleet.bus.entries(CODER)


async def test_a_burst_of_cancellations_looks_once_a_tick() -> None:
    fleet = Fleet(*MANY)
    await fleet.step()
    await fleet.step()
    before = fleet.bus.looks
    for dispatch_id, (_, task_id) in list(fleet.engine.in_flight.items())[:10]:
        fleet.engine.apply(NAME, Overdue(task_id, dispatch_id), 0.0, fleet.clock)
        await fleet.step(seconds=0.01)
    assert fleet.bus.looks == before + 1
    await fleet.step()
    assert set(await fleet.on_stream()) == set(fleet.engine.in_flight)
    assert fleet.bus.looks == before + 3, "one look of ours"


async def test_while_the_bus_is_away_what_is_cancelled_waits_to_be_taken_off() -> None:
    fleet = Fleet(*MANY)
    await fleet.step()
    broker = fleet.bus.broker
    streams = dict(broker._streams)
    broker.stop()
    await fleet.cancel()
    broker.start()
    broker._streams = streams
    await fleet.step()
    assert await fleet.on_stream() == []


# --- words about what is not started ----------------------------------------------------------------------


async def test_a_worker_that_asks_is_told_what_is_current_in_the_same_batch() -> None:
    fleet = Fleet(*MANY)
    await fleet.step(beat("w1"))
    [name] = await fleet.read("w1")
    await fleet.step(beat("w1", waiting=[name]), seconds=0.01)
    assert [(worker, said.confirmed) for worker, said in fleet.bus.told] == [("w1", (name,))]


async def test_a_worker_that_asks_for_what_is_out_of_date_is_told_not_to_start() -> None:
    fleet = Fleet(*MANY)
    await fleet.step()
    await fleet.cancel()
    await fleet.step(beat("w1", waiting=["d1"]), seconds=0.01)
    assert [(said.recalled, said.confirmed) for _, said in fleet.bus.told] == [(("d1",), None)]


async def test_a_worker_that_asks_for_what_another_one_runs_is_told_not_to_start() -> None:
    fleet = Fleet(*MANY)
    await fleet.step()
    await fleet.step(beat("w1", "d1"))
    await fleet.step(beat("w2", waiting=["d1"]), seconds=0.01)
    assert [(worker, said.recalled) for worker, said in fleet.bus.told] == [("w2", ("d1",))]


async def test_a_former_owner_tells_a_worker_nothing() -> None:  # I3
    """What is said follows a commit, which fails when another orchestrator has taken over."""
    fleet = Fleet(*MANY)
    await fleet.step()
    await fleet.handlers.handle(beat("w1", waiting=["d1"]))
    assert fleet.engine.pending.shards == {fleet.workflow.header.shard}

"""What somebody else does in a worker's name: readings are found out, and successes are refused."""

from __future__ import annotations

import pytest

from contracts.messages.journal import OutcomeRefused
from orchestrator.core.state import TaskStatus
from orchestrator.scheduling.outcome_guard import NO_WORKER, Credibility
from orchestrator.service.inbox import BusAway, BusReset
from tests.orchestrator.fleet import CODER, LEASE, Fleet, beat, left
from tests.orchestrator.plans import item


async def known(*names: str) -> Fleet:
    """A fleet of these idle workers, that was heard for a lease."""
    fleet = Fleet(item("a"))
    await fleet.wait(LEASE + 1, *map(beat, names))
    return fleet


def refusals(fleet: Fleet) -> list[str]:
    return [one.reason for one in fleet.journal if isinstance(one, OutcomeRefused)]


# --- readings ---------------------------------------------------------------------------------------------


async def test_what_somebody_read_in_a_living_workers_name_is_published_again() -> None:  # I1
    fleet = await known("w1")
    [name] = await fleet.read("w1")
    await fleet.wait(4 * LEASE, beat("w1"))
    assert fleet.bus.requests == [name, name]
    assert (await fleet.read("w2"), fleet.task().attempt) == ([name], 1)


@pytest.mark.parametrize("listed", ["started", "waiting"])
async def test_what_the_worker_lists_was_not_stolen(listed: str) -> None:
    fleet = await known("w1")
    [name] = await fleet.read("w1")
    said = beat("w1", name) if listed == "started" else beat("w1", waiting=[name])
    await fleet.wait(4 * LEASE, said)
    assert fleet.bus.requests == [name]


async def test_a_dispatch_that_a_worker_has_finished_was_not_stolen() -> None:
    """Its outcome may take long to arrive, say while the bus takes no writes."""
    fleet = await known("w1")
    [name] = await fleet.read("w1")
    await fleet.step(beat("w1", name))
    await fleet.wait(4 * LEASE, beat("w1"))
    assert fleet.bus.requests == [name]


async def test_a_heartbeat_that_was_sent_before_the_reading_proves_nothing() -> None:
    fleet = await known("w1")
    await fleet.wait(2 * LEASE, beat("w1"))
    [name] = await fleet.read("w1")
    await fleet.wait(LEASE, beat("w1"))
    assert fleet.bus.requests == [name]


async def test_one_heartbeat_proves_nothing() -> None:
    fleet = await known("w1")
    [name] = await fleet.read("w1")
    found = []
    for _ in range(5):
        await fleet.wait(LEASE - 0.5)
        await fleet.step(beat("w1"), seconds=0.5)
        found.append(len(fleet.bus.requests))
    assert found[:2] == [1, 1]
    assert fleet.bus.requests == [name, name]


# --- outcomes ---------------------------------------------------------------------------------------------


async def test_a_success_of_a_worker_that_nobody_announced_waits_and_is_refused() -> None:
    fleet = await known("w1")
    forged = fleet.finished("d1", "stranger")
    await fleet.step(forged)
    assert (fleet.task().status, fleet.bus.settled) == (TaskStatus.DISPATCHED, [])
    await fleet.wait(LEASE + 1, beat("w1"))
    assert refusals(fleet) == [Credibility.UNHEARD.value]
    assert (fleet.task().status, fleet.bus.settled) == (TaskStatus.DISPATCHED, [forged])


async def test_a_success_that_nobody_waits_for_any_more_waits_no_longer() -> None:
    fleet = await known("w1")
    forged = fleet.finished("d1", "stranger")
    await fleet.step(forged)
    await fleet.step(fleet.finished("d1", "w1"))
    await fleet.step()
    assert fleet.task().status is TaskStatus.SUCCEEDED
    assert forged in fleet.bus.settled


async def test_an_outcome_that_came_before_the_first_heartbeat_is_accepted_with_it() -> None:
    fleet = await known("w1")
    await fleet.step(fleet.finished("d1", "w2"))
    assert fleet.task().status is TaskStatus.DISPATCHED
    await fleet.step(beat("w2"))
    await fleet.step()
    assert fleet.task().status is TaskStatus.SUCCEEDED
    assert len(fleet.bus.settled) == 1


async def test_a_worker_that_is_heard_of_only_when_it_leaves_is_believed() -> None:
    fleet = await known("w1")
    await fleet.step(fleet.finished("d1", "w2"))
    await fleet.step(left("w2"))
    await fleet.step()
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_what_has_an_outcome_that_waits_is_not_missing() -> None:  # I4
    fleet = await known("w1")
    await fleet.read("w2")
    await fleet.bus.ack("workers", await fleet.bus.pending(CODER, "workers", "w2"))
    await fleet.step(BusReset())
    await fleet.wait(LEASE / 2 - 0.5, beat("w1"))
    await fleet.step(fleet.finished("d1", "w2"))
    await fleet.wait(2, beat("w1"))
    assert fleet.bus.requests == ["d1"]
    await fleet.step(beat("w2"))
    await fleet.step()
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_at_the_start_and_after_a_silence_of_the_bus_strangers_are_believed() -> None:
    """A worker may have reported and ended while nobody listened."""
    fleet = Fleet(item("a"))
    await fleet.step()
    await fleet.step(fleet.finished("d1", "ended"))
    assert fleet.task().status is TaskStatus.SUCCEEDED
    fleet = await known("w1")
    await fleet.step(BusAway())
    await fleet.step(fleet.finished("d1", "ended"))
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_at_the_start_a_stranger_is_not_believed_about_what_another_worker_lists() -> None:
    fleet = Fleet(item("a"))
    await fleet.step(beat("w1"))
    [name] = await fleet.read("w1")
    await fleet.step(beat("w1", name))
    await fleet.step(fleet.finished(name, "stranger"))
    assert refusals(fleet) == [Credibility.CONTRADICTED.value]


async def test_a_success_is_refused_while_another_worker_lists_the_dispatch() -> None:
    fleet = await known("w1", "w2")
    [name] = await fleet.read("w1")
    await fleet.step(beat("w1", name))
    await fleet.step(fleet.finished(name, "w2"))
    assert refusals(fleet) == [Credibility.CONTRADICTED.value]
    await fleet.step(fleet.finished(name, "w1"))
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_what_nobody_lists_may_have_been_short() -> None:
    fleet = await known("w1", "w2")
    [name] = await fleet.read("w1")
    await fleet.step(fleet.finished(name, "w1"))
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_of_a_dispatch_that_was_published_twice_each_reader_is_believed() -> None:
    fleet = await known("w1", "w2")
    [name] = await fleet.read("w1")
    await fleet.step(beat("w1", name))
    await fleet.step(BusReset())
    await fleet.step(fleet.finished(name, "w2"))
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_only_the_orchestrator_gives_failures_without_a_worker() -> None:
    fleet = await known("w1")
    await fleet.step(fleet.finished("d1", NO_WORKER))
    assert fleet.task().status is TaskStatus.DISPATCHED


async def test_what_a_keeper_says_of_what_it_ended_is_believed() -> None:
    fleet = Fleet(item("a"))
    await fleet.wait(LEASE + 1, beat("k-0", keeper="k"))
    await fleet.step(fleet.finished("d1", "k"))
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_no_more_outcomes_wait_than_a_limit() -> None:  # I9
    fleet = await known("w1")
    for _ in range(1_001):
        await fleet.step(fleet.finished("d1", "stranger"), seconds=0.0)
    assert len(refusals(fleet)) == 1

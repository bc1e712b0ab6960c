"""A silent worker is in doubt and not dead: what it held goes to others as it is, and nobody is blamed."""

from __future__ import annotations

from contracts.messages.journal import OutcomeRefused, TaskPassedOn
from orchestrator.core.state import TaskStatus
from orchestrator.service.fleet.workers import OVERDUE_GRACE_SECONDS
from tests.orchestrator.fleet import CODER, LEASE, SUSPECTS, Fleet, beat, left
from tests.orchestrator.plans import item

SILENCE = LEASE + 1
LONG = 20 * LEASE


async def started(fleet: Fleet, worker: str = "w1") -> str:
    """A worker that has read the first dispatch and says so."""
    await fleet.step(beat(worker))
    [name] = await fleet.read(worker)
    await fleet.step(beat(worker, name))
    return name


async def test_what_a_silent_worker_held_is_published_again_as_it_is() -> None:
    fleet = Fleet(item("a"))
    name = await started(fleet)
    await fleet.wait(SILENCE)
    assert fleet.bus.requests == [name, name]
    task = fleet.task()
    assert (task.dispatch_id, task.attempt, task.crashes, task.suspect) == (name, 1, 0, False)
    assert TaskPassedOn("a", 1, name, "w1") in fleet.journal


async def test_an_outcome_that_was_published_before_the_silence_wins() -> None:  # I4
    fleet = Fleet(item("a"))
    name = await started(fleet)
    while fleet.leases.workers:
        await fleet.step()
    await fleet.step(fleet.finished(name, "w1"), seconds=0.0)
    await fleet.drain()
    assert fleet.bus.requests == [name]
    assert fleet.task().status is TaskStatus.SUCCEEDED


async def test_one_that_comes_back_is_heard_again_and_the_first_outcome_wins() -> None:  # I3
    fleet = Fleet(item("a"))
    name = await started(fleet)
    await fleet.wait(SILENCE)
    await fleet.step(beat("w2"))
    assert await fleet.read("w2") == [name]
    await fleet.step(beat("w2", name), beat("w1", name))
    await fleet.step(fleet.finished(name, "w1", summary="first"))
    await fleet.step(fleet.finished(name, "w2", summary="second"), beat("w2", name))
    assert fleet.task().summary == "first"
    assert [one.reason for one in fleet.journal if isinstance(one, OutcomeRefused)] == ["task is succeeded"]
    assert ("w2", (name,)) in [(worker, said.recalled) for worker, said in fleet.bus.told]


async def test_what_another_worker_lists_is_not_published_again() -> None:
    fleet = Fleet(item("a"))
    name = await started(fleet)
    await fleet.wait(SILENCE)
    await fleet.step(beat("w2"))
    await fleet.read("w2")
    await fleet.step(beat("w1", name), beat("w2", name))
    await fleet.wait(SILENCE, beat("w2", name))
    assert fleet.bus.requests == [name, name]


async def test_an_entry_of_a_consumer_that_nobody_heard_of_is_published_again_as_it_is() -> None:
    fleet = Fleet(item("a"))
    await fleet.step()
    [name] = await fleet.read("stranger")
    await fleet.wait(3 * LEASE)
    assert fleet.bus.requests == [name, name]
    assert (fleet.task().attempt, fleet.task().suspect) == (1, False)


async def test_the_deadline_goes_on_across_silent_workers() -> None:
    """A task that takes whole machines down, supervisors and all, ends as a timeout, not never."""
    fleet = Fleet(item("a", timeout_seconds=20, max_retries=0))
    names = set()
    while fleet.task().status is not TaskStatus.FAILED and fleet.clock < LONG:
        names.add(await started(fleet, f"w{fleet.clock}"))
        await fleet.wait(SILENCE)
    assert 20 < fleet.clock < 2 * (20 + OVERDUE_GRACE_SECONDS)
    assert names == set(fleet.bus.requests) == {"d1"}
    error = fleet.task().error
    assert error is not None
    assert (fleet.task().status, error.code) == (TaskStatus.FAILED, "timeout")


async def test_a_task_that_takes_machines_down_before_a_heartbeat_lists_it_ends_too() -> None:
    fleet = Fleet(item("a", timeout_seconds=20, max_retries=0))
    while fleet.task().status is not TaskStatus.FAILED and fleet.clock < LONG:
        worker = f"w{fleet.clock}"
        await fleet.step(beat(worker))
        assert await fleet.read(worker) == ["d1"]
        await fleet.wait(SILENCE)
    assert fleet.clock < LONG


async def test_waiting_for_a_worker_is_no_part_of_the_deadline() -> None:
    fleet = Fleet(item("a", timeout_seconds=20, max_retries=0))
    await started(fleet)
    await fleet.wait(100 * LEASE)
    assert fleet.task().status is TaskStatus.DISPATCHED


async def test_only_the_word_of_a_death_counts_and_makes_a_new_dispatch() -> None:  # I7
    fleet = Fleet(item("a"))
    name = await started(fleet)
    await fleet.step(left("w1", died=True))
    await fleet.drain()
    task = fleet.task()
    assert (task.attempt, task.crashes, task.suspect) == (2, 1, True)
    assert await fleet.on_stream(SUSPECTS) == [task.dispatch_id]
    assert task.dispatch_id != name


async def test_what_a_worker_hands_back_waits_until_all_outcomes_are_read() -> None:  # I4
    fleet = Fleet(item("a"), item("b"))
    await fleet.step(beat("w1"))
    one, two = await fleet.read("w1", count=2)
    await fleet.step(left("w1", one, two))
    assert fleet.bus.requests == [one, two]
    await fleet.step(fleet.finished(one, "w1"))
    await fleet.drain()
    assert fleet.bus.requests == [one, two, two]
    assert not any(isinstance(event, TaskPassedOn) for event in fleet.journal)


# --- keepers ----------------------------------------------------------------------------------------------


async def running_keeper(fleet: Fleet, *suspects: str) -> list[str]:
    """A keeper with two slots that run a dispatch each, and one for suspects."""
    await fleet.step(*(beat(f"k-{number}", keeper="k", streams=(CODER,)) for number in range(2)))
    await fleet.step(beat("k-2", keeper="k", streams=(SUSPECTS,)))
    names = []
    for number in range(2):
        names += await fleet.read(f"k-{number}")
        await fleet.step(beat(f"k-{number}", *names[number:], keeper="k", streams=(CODER,)))
    return names


async def test_with_a_keeper_all_its_workers_are_gone_and_nobody_is_blamed_where_several_ran() -> None:
    fleet = Fleet(item("a"), item("b"))
    await running_keeper(fleet)
    await fleet.step(left("k", died=True))
    await fleet.drain()
    assert fleet.leases.workers == {}
    assert [(fleet.task(name).crashes, fleet.task(name).suspect) for name in "ab"] == [(0, True)] * 2


async def test_a_keeper_that_ran_one_dispatch_alone_died_of_it() -> None:
    fleet = Fleet(item("a"))
    await running_keeper(fleet)
    await fleet.step(left("k", died=True))
    await fleet.drain()
    assert fleet.task().crashes == 1


async def test_the_only_suspect_of_a_keeper_is_to_blame_for_its_death() -> None:  # I7
    fleet = Fleet(item("a"), item("b"))
    await started(fleet)
    await fleet.step(left("w1", died=True))
    await fleet.drain()
    await fleet.step(*(beat(f"k-{number}", keeper="k", streams=(CODER,)) for number in range(2)))
    [beside] = await fleet.read("k-0")
    [suspect] = await fleet.read("k-2", SUSPECTS)
    assert fleet.engine.in_flight[suspect] == (fleet.workflow.header.workflow_id, "a")
    await fleet.step(
        beat("k-0", beside, keeper="k", streams=(CODER,)),
        beat("k-2", suspect, keeper="k", streams=(SUSPECTS,)),
    )
    await fleet.step(left("k", died=True))
    await fleet.drain()
    assert (fleet.task("a").crashes, fleet.task("b").crashes, fleet.task("b").suspect) == (2, 0, True)


async def test_the_death_of_one_slot_leaves_the_others_alone() -> None:
    fleet = Fleet(item("a"), item("b"))
    one, two = await running_keeper(fleet)
    await fleet.step(left("k-0", died=True))
    await fleet.drain()
    places = {fleet.engine.in_flight[two][1]: 0}
    assert all(fleet.task(name).crashes == places.get(name, 1) for name in "ab")
    assert one not in fleet.engine.in_flight


async def test_a_keeper_is_one_row_whose_slots_are_all_it_has() -> None:
    fleet = Fleet(item("a"))
    await running_keeper(fleet)
    row = fleet.rows.present["k"]
    assert list(fleet.rows.present) == ["k"]
    assert (row.slots, set(row.streams), row.roles) == (3, {CODER, SUSPECTS}, ("coder",))


async def test_a_successor_adds_no_row_and_writes_nothing() -> None:
    fleet = Fleet(item("a"))
    await running_keeper(fleet)
    before, writes = fleet.rows.present["k"], fleet.rows.writes
    await fleet.step(left("k-1"), beat("k-1-2", keeper="k", streams=(CODER,)))
    assert (fleet.rows.present, fleet.rows.writes) == ({"k": before}, writes)


async def test_a_keepers_row_goes_when_all_its_slots_are_silent() -> None:
    fleet = Fleet(item("a"))
    await running_keeper(fleet)
    await fleet.wait(SILENCE, beat("k-1", keeper="k", streams=(CODER,)))
    assert fleet.rows.present["k"].slots == 1
    await fleet.wait(SILENCE)
    assert fleet.rows.present == {}

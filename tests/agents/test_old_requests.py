"""A request that is older than a lease starts at the orchestrator's word, or after a lease without one."""

from __future__ import annotations

import pytest

from agents.worker.request_age import RequestAge
from artifacts import GitArtifactStore
from contracts.base.timestamps import rfc3339
from contracts.bus.memory_bus import MemoryBus
from tests.agents.actors import Gate, Quick
from tests.agents.owner import CODER, Owner, running, until, worker
from tests.agents.support import CREATED_AT, task_request

LONG_AGO = CREATED_AT - 60
NEVER = 1_000.0


async def test_an_old_request_is_listed_as_not_started_and_starts_at_a_word(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    await owner.dispatch(task_request(dispatch_id="old", created_at=LONG_AGO))
    async with running(worker(bus, store, gate.agent(), lease_seconds=50.0, heartbeat_seconds=NEVER)):
        await until(lambda: {"old": False} in owner.listed)
        assert gate.entered == []
        await owner.say(confirmed=["old"])
        await until(lambda: len(gate.entered) == 1)
        gate.open.set()
        assert (await owner.outcome()).dispatch_id == "old"


async def test_an_old_request_that_is_recalled_never_starts(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    await owner.dispatch(task_request(dispatch_id="old", created_at=LONG_AGO))
    async with running(worker(bus, store, gate.agent(), slots=1, lease_seconds=50.0)):
        await until(lambda: {"old": False} in owner.listed)
        await owner.say(recalled=["old"])
        await owner.settled(CODER)
        await owner.dispatch(task_request(dispatch_id="new", task_id="t1"))
        await until(lambda: len(gate.entered) == 1)
        gate.open.set()
        assert (await owner.outcome()).dispatch_id == "new"


async def test_a_fresh_request_waits_neither_for_a_word_nor_for_an_old_one(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    await owner.dispatch(task_request(dispatch_id="old", created_at=LONG_AGO))
    await owner.dispatch(task_request(dispatch_id="new", task_id="t1"))
    async with running(worker(bus, store, Quick, slots=2, lease_seconds=50.0)):
        assert (await owner.outcome()).dispatch_id == "new"
        assert [one.payload for one in await owner.unacknowledged()] != []


async def test_without_a_word_an_old_request_starts_after_a_lease(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    await owner.dispatch(task_request(dispatch_id="old", created_at=LONG_AGO))
    async with running(worker(bus, store, Quick, lease_seconds=0.2)):
        assert (await owner.outcome()).dispatch_id == "old"
        assert {"old": False} in owner.listed


async def test_a_confirmed_request_that_is_confirmed_again_runs_once(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    gate = Gate()
    await owner.dispatch(task_request(dispatch_id="old", created_at=LONG_AGO))
    async with running(worker(bus, store, gate.agent(), lease_seconds=0.2)):
        await until(lambda: {"old": False} in owner.listed)
        await owner.say(confirmed=["old", "other"])
        await until(lambda: {"old": True} in owner.listed[-1:])
        await owner.say(confirmed=["old"])
        gate.open.set()
        await owner.outcome()
        assert len(gate.entered) == 1


@pytest.mark.parametrize(
    ("age", "ahead", "old"),
    [(0, 0, False), (6, 0, False), (8, 0, True), (-3600, 0, False), (0, 3600, False), (8, 3600, True)],
)
def test_the_age_is_taken_by_the_clock_of_the_orchestrator(age: int, ahead: int, old: bool) -> None:
    now = float(CREATED_AT)
    found = RequestAge(lambda: now, 6.0)
    found.heard(rfc3339(now + ahead))
    assert found.is_old(int(now + ahead - age)) is old


def test_a_clock_that_jumped_is_set_by_the_next_word() -> None:
    now = [float(CREATED_AT)]
    found = RequestAge(lambda: now[0], 6.0)
    found.heard(rfc3339(CREATED_AT))
    now[0] += 3600.0
    assert found.is_old(CREATED_AT)
    found.heard(rfc3339(CREATED_AT))
    assert not found.is_old(CREATED_AT)


def test_a_time_that_does_not_exist_sets_no_clock() -> None:
    found = RequestAge(lambda: float(CREATED_AT), 6.0)
    found.heard("2025-99-99T00:00:00Z")
    assert not found.is_old(CREATED_AT)

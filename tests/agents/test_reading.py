"""Reads that the server answered and nobody heard."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from agents import agent
from artifacts import GitArtifactStore
from contracts.bus.memory_broker import MemoryBroker
from contracts.messages.channels import Channels
from contracts.messages.events import encode
from tests.agents.actors import Gate
from tests.agents.owner import CODER, Owner, running, until, worker
from tests.agents.support import request_event, task_request
from tests.runtime.deaf_bus import DeafBus


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

"""Leaving: nothing new, a last word, and out within 10 s whatever happens."""

from __future__ import annotations

import asyncio

from agents import AgentResult, Task, agent
from artifacts import GitArtifactStore
from contracts.base.errors import AgentFailure
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from tests.agents.owner import RESULTS, Owner, until, worker
from tests.agents.support import task_request


class Stage:
    """Agents that report when they are entered, and how they take their end."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.open = asyncio.Event()

    def patient(self) -> type:
        stage = self

        @agent(role="coder")
        class Patient:
            async def run(self, task: Task) -> AgentResult:
                stage.entered.append(task.request.dispatch_id)
                await stage.open.wait()
                return AgentResult(summary="done")

        return Patient

    def stubborn(self) -> type:
        stage = self

        @agent(role="coder")
        class Stubborn:
            async def run(self, task: Task) -> AgentResult:
                stage.entered.append(task.request.dispatch_id)
                while not stage.open.is_set():
                    try:
                        await stage.open.wait()
                    except asyncio.CancelledError:
                        continue
                raise AgentFailure("too late")

        return Stubborn


async def test_what_runs_may_finish_and_its_outcome_is_sent(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    stage = Stage()
    made = worker(bus, store, stage.patient())
    task = asyncio.create_task(made.run())
    await owner.dispatch(task_request())
    await until(lambda: len(stage.entered) == 1)
    made.stop()
    stage.open.set()
    await task
    assert (await owner.outcome()).summary == "done"
    await until(lambda: bool(owner.left))
    assert (owner.left[0].worker_id, owner.left[0].reason) == ("w-1", "stopped")
    assert owner.left[0].handed_back == ()


async def test_what_does_not_finish_and_what_did_not_start_is_handed_back(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    stage = Stage()
    both = stage.patient()
    agent(role="coder", tags=("rust",))(both)
    rust = Channels.requests("coder", "rust")
    await owner.serve(rust)
    await owner.dispatch(task_request(dispatch_id="d1"))
    await owner.dispatch(task_request(dispatch_id="d2", task_id="t2"))
    made = worker(bus, store, both, slots=2, grace_seconds=0.1)
    task = asyncio.create_task(made.run())
    await until(lambda: len(stage.entered) == 2)
    made.stop()
    await task
    await until(lambda: bool(owner.left))
    assert sorted(owner.left[0].handed_back) == ["d1", "d2"]
    assert await bus.depth(RESULTS) == 0
    # They stay pending: should nobody hear the broadcast, the silent worker still forfeits them.
    assert len(await owner.unacknowledged()) == 2


async def test_no_new_work_after_stop(bus: MemoryBus, owner: Owner, store: GitArtifactStore) -> None:
    stage = Stage()
    made = worker(bus, store, stage.patient(), block_ms=500)
    task = asyncio.create_task(made.run())
    await until(lambda: bool(owner.heartbeats))
    made.stop()
    await owner.dispatch(task_request())
    await task
    await until(lambda: bool(owner.left))
    assert stage.entered == []
    read = await owner.unacknowledged()
    assert owner.left[0].handed_back == (("d1",) if read else ())


async def test_an_agent_that_ignores_its_cancellation_delays_nothing(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore
) -> None:
    stage = Stage()
    made = worker(bus, store, stage.stubborn(), grace_seconds=0.1)
    task = asyncio.create_task(made.run())
    await owner.dispatch(task_request())
    await until(lambda: len(stage.entered) == 1)
    made.stop()
    async with asyncio.timeout(10):
        await task
    stage.open.set()
    await until(lambda: bool(owner.left))
    assert owner.left[0].handed_back == ("d1",)


async def test_out_in_time_with_the_bus_down_and_work_under_way(
    bus: MemoryBus, owner: Owner, store: GitArtifactStore, broker: MemoryBroker
) -> None:
    stage = Stage()
    made = worker(bus, store, stage.patient())
    task = asyncio.create_task(made.run())
    await owner.dispatch(task_request())
    await until(lambda: len(stage.entered) == 1)
    broker.stop()
    made.stop()
    async with asyncio.timeout(10):
        await task
    broker.start()


async def test_stopped_while_the_bus_was_never_there(store: GitArtifactStore) -> None:
    broker = MemoryBroker()
    broker.stop()
    bus = MemoryBus(broker)
    made = worker(bus, store, Stage().patient())
    task = asyncio.create_task(made.run())
    await asyncio.sleep(0)
    made.stop()
    async with asyncio.timeout(10):
        await task
    await bus.close()

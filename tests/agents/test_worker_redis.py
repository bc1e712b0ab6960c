"""The worker on a real Redis that is cut, flushed and killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from agents import AgentResult, Task, agent
from artifacts import GitArtifactStore
from contracts.base.errors import BusUnavailable
from contracts.bus.redis_bus import RedisBus
from contracts.messages.channels import Channels
from tests.agents.owner import CODER, RESULTS, Owner, running, until, worker
from tests.agents.support import task_request
from tests.support.redis_servers import PrivateRedis


@pytest.fixture
def redis_server() -> Iterator[PrivateRedis]:
    server = PrivateRedis().start()
    yield server
    server.stop()


@pytest.fixture
async def bus(redis_server: PrivateRedis) -> AsyncIterator[RedisBus]:
    made = RedisBus(redis_server.url, timeout=2)
    yield made
    await made.close()


@pytest.fixture
async def owner(redis_server: PrivateRedis) -> AsyncIterator[Owner]:
    bus = RedisBus(redis_server.url)
    made = await Owner.on(bus)
    await made.serve(CODER)
    yield made
    await made.close()
    await bus.close()


class Slow:
    """An agent that waits for the test."""

    def __init__(self) -> None:
        self.entered = 0
        self.open = asyncio.Event()

    def agent(self) -> type:
        slow = self

        @agent(role="coder")
        class Waiting:
            async def run(self, task: Task) -> AgentResult:
                slow.entered += 1
                await slow.open.wait()
                return AgentResult(summary="done")

        return Waiting


async def _groups(owner: Owner) -> None:
    """What the orchestrator does when the server's memory is gone."""
    await owner.serve(CODER)
    await owner.bus.ensure_group(RESULTS, Channels.ORCHESTRATORS_GROUP)


async def test_work_and_acknowledgement_over_redis(
    bus: RedisBus, owner: Owner, store: GitArtifactStore
) -> None:
    slow = Slow()
    slow.open.set()
    async with running(worker(bus, store, slow.agent())):
        await until(lambda: bool(owner.heartbeats))
        requests = [task_request(dispatch_id=f"d{n}", task_id=f"t{n}") for n in range(6)]
        await owner.dispatch(*requests)
        seen: set[str] = set()
        async with asyncio.timeout(20):
            while len(seen) < 6:
                found = await owner.outcome()
                seen.add(found.dispatch_id)
                await owner.say(acknowledged=[found.execution_id])
        await owner.settled()
    await until(lambda: bool(owner.left))


async def test_i5_a_server_killed_while_work_runs_loses_no_outcome(
    bus: RedisBus, owner: Owner, store: GitArtifactStore, redis_server: PrivateRedis
) -> None:
    slow = Slow()
    async with running(worker(bus, store, slow.agent())) as task:
        await owner.dispatch(task_request())
        await until(lambda: slow.entered == 1)
        redis_server.kill()
        with pytest.raises(BusUnavailable):
            await owner.bus.depth(CODER)
        slow.open.set()
        redis_server.start()
        await _groups(owner)
        assert (await owner.outcome()).summary == "done"
        assert not task.done()
        await owner.dispatch(task_request(dispatch_id="d2", task_id="t2"))
        async with asyncio.timeout(20):
            while (await owner.outcome()).dispatch_id != "d2":
                pass


async def test_i5_a_flushed_server_hears_the_outcome_again(
    bus: RedisBus, owner: Owner, store: GitArtifactStore, redis_server: PrivateRedis
) -> None:
    slow = Slow()
    slow.open.set()
    async with running(worker(bus, store, slow.agent(), resend_seconds=600)):
        await owner.dispatch(task_request())
        first = await owner.outcome()
        redis_server.flush()
        # Longer than a read: the worker is to meet a server without groups.
        await asyncio.sleep(0.5)
        await _groups(owner)
        assert await owner.outcome() == first


async def test_out_in_time_with_a_server_that_hangs(
    bus: RedisBus, owner: Owner, store: GitArtifactStore, redis_server: PrivateRedis
) -> None:
    slow = Slow()
    made = worker(bus, store, slow.agent(), grace_seconds=0.1)
    task = asyncio.create_task(made.run())
    await owner.dispatch(task_request())
    await until(lambda: slow.entered == 1)
    redis_server.pause()
    made.stop()
    async with asyncio.timeout(10):
        await task
    redis_server.resume()

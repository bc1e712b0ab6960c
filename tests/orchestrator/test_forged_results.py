"""Results of a worker that somebody else made up, on a real bus: none is accepted, and the true one is.

Each is sent by somebody who has a worker's password, and so may write where workers report.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.base.errors import NotPermitted
from contracts.bus.access import BusUser
from contracts.bus.connect import open_message_bus
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, encode
from contracts.messages.payloads import TaskOutcome, TaskRequest
from contracts.ports.bus import MessageBus, Outgoing
from orchestrator.core.state import TaskStatus
from tests.orchestrator.hand import STREAM, Hand
from tests.orchestrator.plans import item, outcome, plan
from tests.orchestrator.system import LEASE_SECONDS, System, running
from tests.support.bus_users import GuardedRedis, guarded_redis

WORKFLOW = "wf-1"
Request = TaskEvent[TaskRequest]


@dataclass(frozen=True)
class Scene:
    """A task that an honest worker runs, while a second one is idle; and somebody else."""

    system: System
    honest: Hand
    request: Request
    forger: MessageBus


def told(request: Request, result: TaskOutcome, **changes: str) -> bytes:
    event = TaskEvent[TaskOutcome](
        id=f"forged-{result.execution_id}",
        source="worker/other",
        type=EventType.TASK_FINISHED,
        time="2026-01-01T00:00:00Z",
        workflowid=request.workflowid,
        taskid=request.taskid,
        data=result,
    )
    return encode(event.model_copy(update=changes))


def success(dispatch_id: str, worker_id: str) -> TaskOutcome:
    return outcome(dispatch_id, worker_id=worker_id, commit="f" * 40, execution_id=f"x-{dispatch_id}")


FORGED: dict[str, Callable[[Request], bytes]] = {
    "of a worker that nobody knows": lambda r: told(r, success(r.id, "stranger")),
    "in the name of the idle worker": lambda r: told(r, success(r.id, "hand-2")),
    "in nobody's name": lambda r: told(r, success(r.id, "orchestrator")),
    "of another dispatch": lambda r: told(r, success("d" * 32, "hand-1")),
    "of another workflow": lambda r: told(r, success(r.id, "stranger"), workflowid="wf-none"),
    "of another task": lambda r: told(r, success("e" * 32, "hand-1"), taskid="none"),
    "with the id of the workflow": lambda r: told(r, success(WORKFLOW, "hand-1")),
    "that is the request itself": encode,
    "that cannot be read": lambda _: b"\xff{",
    "that ends early": lambda r: told(r, success(r.id, "hand-1"))[:-30],
    "in the name of an unknown keeper": lambda r: told(r, success(r.id, "hand-1-keeper")),
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[GuardedRedis]:
    with guarded_redis() as server:
        yield server


@asynccontextmanager
async def scene(guarded: GuardedRedis, folder: Path) -> AsyncIterator[Scene]:
    url = guarded.url_of(BusUser.WORKER)
    buses = [open_message_bus(url) for _ in range(2)]
    async with running(f"sqlite:///{folder / 'state.db'}", guarded, folder) as system:
        honest, idle = Hand(buses[0]), Hand(buses[0], "hand-2")
        await idle.beat()
        await system.client.submit(plan(item("code")), workflow_id=WORKFLOW)
        _, request = await honest.take()
        try:
            # In its first lease an orchestrator believes whom it has not heard yet.
            await beating(honest, 1.4 * LEASE_SECONDS)
            yield Scene(system, honest, request, buses[1])
        finally:
            await system.stop()
    for bus in buses:
        await bus.close()


async def beating(worker: Hand, seconds: float) -> None:
    for _ in range(round(seconds / 0.3)):
        await worker.beat()
        await asyncio.sleep(0.3)


async def test_no_forged_result_is_accepted(guarded: GuardedRedis, tmp_path: Path) -> None:
    async with scene(guarded, tmp_path) as at:
        stream = at.request.data.reply_to
        for forge in FORGED.values():
            await at.forger.publish([Outgoing(stream, forge(at.request))])
            await at.honest.beat()
        other = Channels.results((int(stream.rpartition(".")[2]) + 1) % 64)
        await at.forger.publish([Outgoing(other, FORGED["in the name of the idle worker"](at.request))])
        await beating(at.honest, 1.4 * LEASE_SECONDS)
        view = await at.system.client.workflow(WORKFLOW)
        assert view is not None
        assert [(one.status, one.commit, one.attempt) for one in view.tasks] == [
            (TaskStatus.DISPATCHED, None, 1)
        ]
        assert (await at.system.kinds(WORKFLOW)).count("outcome.refused") >= 2
        assert {one.stream for one in await at.system.letters(5)} == {stream, other}
        await at.honest.report(at.request, outcome(at.request.id, worker_id="hand-1"))
        assert (await at.system.ended(WORKFLOW)).header.status.value == "completed"


@pytest.mark.parametrize("user", [user for user in BusUser if user is not BusUser.ORCHESTRATOR])
async def test_nobody_else_says_what_an_orchestrator_says(guarded: GuardedRedis, user: BusUser) -> None:
    bus = open_message_bus(guarded.url_of(user))
    try:
        for stream in (STREAM, Channels.suspects("coder")):
            with pytest.raises(NotPermitted):
                await bus.publish([Outgoing(stream, b"a task")])
        for channel in (Channels.control("w-1"), STREAM, Channels.WORKFLOW_EVENTS):
            with pytest.raises(NotPermitted):
                await bus.broadcast([Outgoing(channel, b"a word")])
    finally:
        await bus.close()

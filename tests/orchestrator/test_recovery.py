"""What an owner may take from a dead worker, and what it may recall, where other owners are."""

from __future__ import annotations

import itertools

import pytest

from contracts.bus.connect import open_message_bus
from contracts.messages.channels import SHARDS, Channels
from contracts.messages.events import decode
from contracts.messages.payloads import Execution, Heartbeat
from contracts.ports.bus import MessageBus, Outgoing
from orchestrator.core.sharding import ShardAssignment, shard_of
from orchestrator.core.state import TaskState, Workflow
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import request_message
from orchestrator.scheduling.outcome_guard import OutcomeGuard
from orchestrator.service.fleet.recovery import DrainGate, Recovery
from orchestrator.service.fleet.request_streams import Reclaimed, RequestStreams
from tests.orchestrator.plans import item, plan

STREAM = Channels.requests("coder")
LOW, HIGH = (
    ShardAssignment({n: 1 for n in range(SHARDS // 2)}),
    ShardAssignment({n: 1 for n in range(SHARDS // 2, SHARDS)}),
)


@pytest.fixture
def bus() -> MessageBus:
    return open_message_bus("memory://recovery")


def owner_of(assignment: ShardAssignment, bus: MessageBus) -> Recovery:
    numbers = itertools.count(min(assignment.epochs))
    engine, leases = Engine(lambda: f"id-{next(numbers)}", 100), Leases(6.0)
    streams = RequestStreams(bus, engine, leases, assignment)
    return Recovery(streams, engine, leases, DrainGate(), OutcomeGuard(leases))


def submitted(owner: Recovery) -> tuple[Workflow, TaskState]:
    """A workflow of the owner's share, dispatched."""
    name = next(name for n in itertools.count() if owner.streams.assignment.has(name := f"wf-{n}"))
    workflow = Workflow.start(name, plan(item("a")), shard=shard_of(name), now=0.0)
    owner.engine.submit(workflow, 0.0, 0.0)
    owner.engine.dispatch_ready(0.0, 0.0)
    return workflow, workflow.tasks["a"]


async def test_an_owner_takes_only_its_own_from_a_dead_worker(bus: MessageBus) -> None:  # I1
    owners = [owner_of(assignment, bus) for assignment in (LOW, HIGH)]
    await bus.ensure_group(STREAM, Channels.WORKERS_GROUP)
    sent = [request_message(workflow.header, task) for workflow, task in map(submitted, owners)]
    unreadable = Outgoing(STREAM, b"\xff")
    await bus.publish([*sent, unreadable])
    held = await bus.read([STREAM], Channels.WORKERS_GROUP, "dead", count=9, block_ms=0)
    low = await owners[0].streams.reclaim("dead", [STREAM])
    assert low == Reclaimed([decode(sent[0].payload).id], [held[2]])
    assert await bus.pending(STREAM, Channels.WORKERS_GROUP, "dead") == [held[1]]
    assert await owners[1].streams.reclaim("dead", [STREAM]) == Reclaimed([decode(sent[1].payload).id], [])
    assert await bus.consumers(STREAM, Channels.WORKERS_GROUP) == []
    assert await bus.depth(STREAM) == 0


async def test_a_look_takes_repetitions_and_what_counts_no_more_off_the_stream(bus: MessageBus) -> None:
    """Each copy of a dispatch that kills its worker would cost another worker (I7)."""
    owners = [owner_of(assignment, bus) for assignment in (LOW, HIGH)]
    await bus.ensure_group(STREAM, Channels.WORKERS_GROUP)
    mine, others = [request_message(workflow.header, task) for workflow, task in map(submitted, owners)]
    await bus.publish([mine, others, mine, mine, others])
    current = decode(mine.payload).id
    assert await owners[0].find_missing([current])
    assert [each.payload for each in await bus.entries(STREAM)] == [mine.payload, others.payload]
    [(workflow_id, task_id)] = [owners[0].engine.in_flight.pop(current)]
    owners[0].engine.in_flight["another"] = (workflow_id, task_id)
    assert await owners[0].find_missing(["another"])
    assert [each.payload for each in await bus.entries(STREAM)] == [others.payload]


async def test_an_owner_recalls_nothing_that_is_not_its_own(bus: MessageBus) -> None:
    low, high = owner_of(LOW, bus), owner_of(HIGH, bus)
    (mine, current), (other, _) = submitted(low), submitted(high)
    assert current.dispatch_id is not None
    names = [mine.header.workflow_id, other.header.workflow_id]
    running = [("old-1", names[0]), (current.dispatch_id, names[0]), ("old-2", names[1]), ("old-3", None)]
    heartbeat = Heartbeat(
        worker_id="w",
        host="h",
        pid=1,
        roles=("coder",),
        streams=(STREAM,),
        slots=4,
        sequence=1,
        executions=tuple(
            Execution(dispatch_id=name, execution_id=f"e-{name}", started=True, workflow_id=workflow)
            for name, workflow in running
        ),
    )
    assert low.words(heartbeat).recalled == [(names[0], "old-1")]
    assert high.words(heartbeat).recalled == [(names[1], "old-2")]

"""What goes on while the next batch is taken up loses nothing of either."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from contracts.base.errors import BusUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.payloads import DeadLetteredMessage, Heartbeat
from contracts.ports.bus import Delivery, Done, Outgoing
from orchestrator.client.views import WorkerView
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.scheduling.engine import Effects, Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import request_message
from orchestrator.scheduling.outcome_guard import OutcomeGuard
from orchestrator.service.background import BackgroundWork
from orchestrator.service.command_handler import CommandHandler
from orchestrator.service.fleet.recovery import DrainGate, Recovery
from orchestrator.service.fleet.register import WorkerRegister
from orchestrator.service.fleet.request_streams import RequestStreams
from orchestrator.service.fleet.workers import Workers
from orchestrator.service.inbox_handler import InboxHandler
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.publisher import Publisher
from tests.orchestrator.plans import item, plan


class SlowBus(MemoryBus):
    """A publication waits until `may_answer` is set; the bus is away at first."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.may_answer = asyncio.Event()
        self.away = True
        self.stored: list[Outgoing] = []
        self.acknowledged: list[Delivery] = []

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        await self.may_answer.wait()
        if self.away:
            raise BusUnavailable("away")
        self.stored += messages
        self.acknowledged += done.deliveries if done else []


class EmptyStore:
    """Knows no workflow and no dead letter, and keeps nothing of workers."""

    async def load(self, workflow_id: str) -> Workflow | None:
        return None

    async def dead_letter(self, dead_letter_id: int) -> StoredDeadLetter | None:
        return None

    async def add_worker(self, worker: WorkerView) -> None: ...

    async def mark_workers_left_except(self, living: Iterable[str], at: float, why: str) -> None: ...

    async def mark_workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None: ...


def handlers_on(bus: SlowBus) -> InboxHandler:
    store = EmptyStore()
    engine, metrics = Engine(lambda: "d", window=4), OrchestratorMetrics(CollectorRegistry())
    leases, assignment = Leases(6.0), ShardAssignment({shard: 1 for shard in range(64)})
    guard = OutcomeGuard(leases)
    publisher = Publisher(bus, engine, lambda: "m", lambda: 0.0, guard.copied.update)
    streams = RequestStreams(bus, engine, leases, assignment)
    recovery = Recovery(streams, engine, leases, DrainGate(), guard)
    workers = Workers(engine, leases, publisher, WorkerRegister(store, leases), metrics, recovery)
    return InboxHandler(engine, publisher, metrics, workers, CommandHandler(engine, store, bus))


def unreadable(name: str) -> Delivery:
    """What a worker says of a dispatch that it could not read."""
    workflow = Workflow.start("w", plan(item(name)), shard=1, now=0.0)
    sent = workflow.tasks[name]._replace(status=TaskStatus.DISPATCHED, attempt=1, dispatch_id=f"d-{name}")
    raw = request_message(workflow.header, sent).payload
    event = TaskEvent[DeadLetteredMessage](
        id=f"dead-{name}",
        source="test",
        type=EventType.MESSAGE_DEAD_LETTERED,
        time="2026-01-01T00:00:00Z",
        data=DeadLetteredMessage(
            stream="agent.requests.coder", reason="?", raw_base64=base64.b64encode(raw).decode()
        ),
    )
    return Delivery(Channels.DEAD_LETTERS, f"1-{name}", encode(event))


async def test_i1_an_answer_that_could_not_be_sent_and_one_that_came_meanwhile_are_both_sent() -> None:
    bus = SlowBus()
    handlers = handlers_on(bus)
    async with asyncio.TaskGroup() as group:
        background = BackgroundWork(group)
        for name in ("a", "b"):
            handlers.begin(1.0, 1.0)
            await handlers.handle(unreadable(name))
            if name == "a":
                await background.start_after_previous(partial(handlers.publish, Effects()))
        assert bus.stored == []
        bus.may_answer.set()
        await background.wait_idle()
        assert bus.acknowledged == []
        bus.away = False
        await background.start_after_previous(partial(handlers.publish, Effects()))
        await background.wait_idle()
    assert [decode(message.payload).taskid for message in bus.stored] == ["a", "b"]
    assert [delivery.entry_id for delivery in bus.acknowledged] == ["1-a", "1-b"]


async def test_only_a_batch_of_outcomes_between_ticks_waits_for_nothing() -> None:
    handlers = handlers_on(SlowBus())
    handlers.begin(1.0, 1.0)
    assert handlers.inspects_bus([unreadable("a")])
    handlers._ticked_at = 1.0
    assert not handlers.inspects_bus([unreadable("a")])
    heartbeat = Heartbeat(worker_id="w", host="h", pid=1, roles=(), streams=(), slots=1, sequence=0)
    assert handlers.inspects_bus([unreadable("a"), heartbeat])


async def test_work_follows_in_order_and_its_error_ends_the_group() -> None:
    done: list[int] = []

    def work(number: int, wait: float = 0.0) -> Callable[[], Coroutine[Any, Any, None]]:
        async def run() -> None:
            await asyncio.sleep(wait)
            done.append(number)
            if number == 3:
                raise BusUnavailable("three")

        return run

    async def play() -> None:
        async with asyncio.TaskGroup() as group:
            background = BackgroundWork(group)
            await background.start_after_previous(work(1, 0.05))
            assert done == []
            await background.start_after_previous(work(2))
            assert done == [1]
            await background.start_after_previous(work(3, 0.01))
            await background.wait_idle()

    with pytest.raises(ExceptionGroup) as ended:
        await play()
    assert done == [1, 2, 3]
    assert ended.group_contains(BusUnavailable)

"""The orchestrator's real parts around workers, on a bus in memory, moved batch by batch by a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.documents.todo_list import TodoItem
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.journal import JournalEvent
from contracts.messages.payloads import Control, Execution, Heartbeat, TaskOutcome, WorkerLeft
from contracts.ports.bus import Delivery, Done, Outgoing
from orchestrator.client.views import WorkerView
from orchestrator.core.events import Cancel
from orchestrator.core.sharding import ShardAssignment, shard_of
from orchestrator.core.state import TaskState, Workflow
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import result_stream
from orchestrator.scheduling.outcome_guard import OutcomeGuard
from orchestrator.service.command_handler import CommandHandler
from orchestrator.service.fleet.recovery import DrainGate, Recovery
from orchestrator.service.fleet.register import WorkerRegister
from orchestrator.service.fleet.request_streams import RequestStreams
from orchestrator.service.fleet.workers import Workers
from orchestrator.service.inbox import Drained, InboxMessage
from orchestrator.service.inbox_handler import InboxHandler
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.publisher import Publisher
from tests.orchestrator.plans import outcome, plan

LEASE = 6.0
NAME = "wf-1"
CODER, SUSPECTS = Channels.requests("coder"), Channels.suspects("coder")


class HeardBus(MemoryBus):
    """Keeps what was published, and what workers were told."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.requests: list[str] = []
        self.told: list[tuple[str, Control]] = []
        self.settled: list[Delivery] = []
        self.looks = 0

    async def entries(self, stream: str) -> list[Delivery]:
        self.looks += 1
        return await super().entries(stream)

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        self.requests += [decode(one.payload).id for one in messages]
        for hint in hints:
            data = decode(hint.payload).data
            if isinstance(data, Control):
                self.told.append((hint.stream.removeprefix(f"{Channels.CONTROL}."), data))
        self.settled += done.deliveries if done else []
        await super().publish(messages, hints=hints, done=done)


@dataclass
class Rows:
    """The table of workers, and no workflow or dead letter."""

    writes: int = 0
    present: dict[str, WorkerView] = field(default_factory=dict)

    async def load(self, workflow_id: str) -> Workflow | None:
        return None

    async def dead_letter(self, dead_letter_id: int) -> StoredDeadLetter | None:
        return None

    async def add_worker(self, worker: WorkerView) -> None:
        self.writes += 1
        self.present[worker.worker_id] = worker

    async def mark_workers_left_except(self, living: Iterable[str], at: float, why: str) -> None:
        self.present = {name: row for name, row in self.present.items() if name in set(living)}

    async def mark_workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None:
        self.writes += 1
        for name in worker_ids:
            self.present.pop(name, None)


class Fleet:
    """One workflow, whose tasks are dispatched."""

    def __init__(self, *items: TodoItem) -> None:
        self.clock, self._numbers, self._entries = 0.0, 0, 0
        self.bus, self.rows, self.journal = HeardBus(), Rows(), list[JournalEvent]()
        self.engine, self.leases, self.gate = Engine(self._new_id, 100), Leases(LEASE), DrainGate()
        self.counted = CollectorRegistry()
        metrics, self.guard = OrchestratorMetrics(self.counted), OutcomeGuard(self.leases)
        publisher = Publisher(self.bus, self.engine, lambda: "m", lambda: 0.0, self.guard.copied.update)
        self.epochs = {shard: 1 for shard in range(64)}
        assignment = ShardAssignment(self.epochs)
        streams = RequestStreams(self.bus, self.engine, self.leases, assignment)
        recovery = Recovery(streams, self.engine, self.leases, self.gate, self.guard)
        register = WorkerRegister(self.rows, self.leases)
        self.workers = Workers(self.engine, self.leases, publisher, register, metrics, recovery)
        commands = CommandHandler(self.engine, self.rows, self.bus)
        self.handlers = InboxHandler(self.engine, publisher, metrics, self.workers, commands)
        self.workflow = Workflow.start(NAME, plan(*items), shard=shard_of(NAME), now=0.0)
        self.engine.submit(self.workflow, 0.0, 0.0)

    def _new_id(self) -> str:
        self._numbers += 1
        return f"d{self._numbers}"

    def task(self, name: str = "a") -> TaskState:
        return self.workflow.tasks[name]

    async def step(self, *messages: InboxMessage, seconds: float = 0.25) -> None:
        """One batch, later by so much, committed and published."""
        self.clock += seconds
        self.handlers.begin(1e9 + self.clock, self.clock)
        for message in messages:
            await self.handlers.handle(message)
        await self.handlers.tick()
        batch, effects = self.engine.flush(1e9 + self.clock)
        self.journal += [event for _, event in batch.journal]
        await self.handlers.publish(effects)

    async def drain(self) -> None:
        """All outcomes are read."""
        await self.step(Drained(self.gate.asked), seconds=0.0)

    async def wait(self, seconds: float, *beating: Heartbeat) -> None:
        """Let time pass in which these workers say this twice a second, and all outcomes are read."""
        for _ in range(round(seconds * 2)):
            await self.step(*beating, seconds=0.5)
            await self.drain()

    async def read(self, worker: str, *streams: str, count: int = 1) -> list[str]:
        """What a worker reads."""
        found = await self.bus.read(
            streams or (CODER,), Channels.WORKERS_GROUP, worker, count=count, block_ms=0
        )
        return [decode(one.payload).id for one in found]

    async def on_stream(self, stream: str = CODER) -> list[str]:
        return [decode(one.payload).id for one in await self.bus.entries(stream)]

    async def cancel(self) -> None:
        self.engine.apply(NAME, Cancel("me"), 1e9 + self.clock, self.clock)
        await self.step()

    def finished(self, dispatch_id: str, worker: str, **more: object) -> Delivery:
        """An outcome as it is read."""
        self._entries += 1
        where = self.engine.in_flight.get(dispatch_id, (NAME, next(iter(self.workflow.tasks))))
        event = TaskEvent[TaskOutcome](
            id=f"o{self._entries}",
            source="test",
            type=EventType.TASK_FINISHED,
            time="2026-01-01T00:00:00Z",
            workflowid=NAME,
            taskid=where[1],
            data=outcome(dispatch_id, worker_id=worker, **more),
        )
        return Delivery(result_stream(NAME), f"{self._entries}-0", encode(event))


def beat(
    worker: str,
    *started: str,
    waiting: Sequence[str] = (),
    keeper: str | None = None,
    streams: Sequence[str] = (CODER, SUSPECTS),
    slots: int = 1,
) -> Heartbeat:
    held = [(name, True) for name in started] + [(name, False) for name in waiting]
    return Heartbeat(
        worker_id=worker,
        host="h",
        pid=1,
        roles=("coder",),
        streams=tuple(streams),
        slots=slots,
        sequence=1,
        executions=tuple(
            Execution(dispatch_id=name, execution_id=f"{worker}-{name}", started=is_started, workflow_id=NAME)
            for name, is_started in held
        ),
        keeper_id=keeper,
    )


def left(worker: str, *handed_back: str, died: bool = False) -> WorkerLeft:
    return WorkerLeft(worker_id=worker, reason="died" if died else "stopped", handed_back=handed_back)

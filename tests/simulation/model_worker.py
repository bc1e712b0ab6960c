"""A worker as a model: what agents.worker does, one step at a time, dead or paused at any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.channels import Channels
from contracts.errors import BusUnavailable, GroupMissing
from contracts.events import Control, Execution, Heartbeat, TaskError, TaskOutcome
from contracts.ports import Delivery, Outgoing
from contracts.todo import Role, TodoItem
from tests.simulation.choices import Choices
from tests.simulation.model_bus import ModelBus
from tests.simulation.parcels import Event, unwrap, wrap
from tests.simulation.stepping import run

ROLES = ("coder", "debugger", "tester")
STREAMS = tuple(Channels.requests(role) for role in ROLES)
_BROKEN = TaskError(code="broken", message="it broke")
_REFUSED = TaskError(code="refused", message="it cannot be done", retryable=False)
_build_heartbeat = Heartbeat.model_construct
_build_outcome = TaskOutcome.model_construct
_build_execution = Execution.model_construct


@dataclass(slots=True)
class Held:
    event: Event
    delivery: Delivery
    execution_id: str


@dataclass(slots=True)
class Kept:
    dispatch_id: str
    outgoing: Outgoing
    deliveries: list[Delivery]
    due: float = 0.0


@dataclass(slots=True)
class ModelWorker:
    name: str
    slots: int
    bus: ModelBus
    choices: Choices
    new_commit: Callable[[], str]
    started: Callable[[Event], None]
    supervised: bool = True
    paused: bool = False
    beat_at: float = 0.0
    held: dict[str, Held] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    acks: list[Delivery] = field(default_factory=list)
    executions: int = 0

    @property
    def busy(self) -> bool:
        return bool(self.held or self.kept or self.acks)

    def heartbeat(self) -> Heartbeat:
        return _build_heartbeat(
            worker_id=self.name,
            host="model",
            pid=1,
            roles=ROLES,
            streams=STREAMS,
            slots=self.slots,
            sequence=1,
            executions=tuple(
                _build_execution(dispatch_id=name, execution_id=held.execution_id, started=True)
                for name, held in self.held.items()
            ),
        )

    def read(self) -> None:
        """Take what fits, first what an earlier read got and did not hear of."""
        free = self.slots - len(self.held)
        if free <= 0:
            return
        known = {
            (one.stream, one.entry_id)
            for one in (
                *(held.delivery for held in self.held.values()),
                *(delivery for kept in self.kept.values() for delivery in kept.deliveries),
                *self.acks,
            )
        }
        try:
            found = [
                delivery
                for stream in STREAMS
                for delivery in run(self.bus.pending(stream, Channels.WORKERS_GROUP, self.name))
                if (delivery.stream, delivery.entry_id) not in known
            ][:free]
            if not found:
                found = run(self.bus.read(STREAMS, Channels.WORKERS_GROUP, self.name, count=free, block_ms=0))
        except GroupMissing:
            self.beat_at = 0.0
            for kept in self.kept.values():
                kept.due = 0.0
            return
        except BusUnavailable:
            return
        for delivery in found:
            self._receive(delivery)

    def _receive(self, delivery: Delivery) -> None:
        event = unwrap(delivery.payload)
        kept = next((kept for kept in self.kept.values() if kept.dispatch_id == event.id), None)
        if event.id in self.held:
            self.acks.append(delivery)
        elif kept is not None:
            kept.deliveries.append(delivery)
            kept.due = 0.0
        else:
            self.started(event)
            self.executions += 1
            self.held[event.id] = Held(event, delivery, f"{self.name}-{self.executions}")

    def finish(self) -> None:
        """End one execution, somehow."""
        if not self.held:
            return
        held = self.held.pop(list(self.held)[self.choices.below(len(self.held))])
        item: TodoItem = held.event.data
        kind = self.choices.fault(0.25, 3)
        failed = kind in {1, 2}
        outcome = _build_outcome(
            dispatch_id=held.event.id,
            execution_id=held.execution_id,
            worker_id=self.name,
            status="failed" if failed else "succeeded",
            commit=None if failed else self.new_commit(),
            verdict=("failed" if kind == 3 else "passed") if item.agent_role == Role.TESTER else None,
            error=(_BROKEN if kind == 1 else _REFUSED) if failed else None,
        )
        event = Event(held.execution_id, held.event.workflowid, held.event.taskid, outcome)
        outgoing = Outgoing(Channels.results(0), wrap(event))
        self.kept[held.execution_id] = Kept(held.event.id, outgoing, [held.delivery])

    def report(self, now: float) -> None:
        """Publish what is due, then acknowledge, as agents.outbox does."""
        due = [kept for kept in self.kept.values() if kept.due <= now]
        try:
            if due:
                run(self.bus.publish([kept.outgoing for kept in due]))
                for kept in due:
                    self.acks += kept.deliveries
                    kept.deliveries = []
                    kept.due = now + 2.0
                if self.choices.fault(0.2):
                    return
            if self.acks:
                run(self.bus.ack(Channels.WORKERS_GROUP, self.acks))
                self.acks = []
        except BusUnavailable:
            for kept in self.kept.values():
                kept.due = 0.0

    def obey(self, control: Control) -> None:
        for execution_id in control.acknowledged:
            self._drop(execution_id)
        for dispatch_id in control.recalled:
            held = self.held.pop(dispatch_id, None)
            if held is not None:
                self.acks.append(held.delivery)
            for name in [name for name, kept in self.kept.items() if kept.dispatch_id == dispatch_id]:
                self._drop(name)

    def _drop(self, execution_id: str) -> None:
        kept = self.kept.pop(execution_id, None)
        if kept is not None:
            self.acks += kept.deliveries

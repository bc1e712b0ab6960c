"""A worker as a model: what agents.worker.worker does, one step at a time, dead or paused at any of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.documents.todo_list import Role, TodoItem
from contracts.messages.channels import Channels
from contracts.messages.payloads import Control, Execution, Heartbeat, TaskError, TaskOutcome
from contracts.messages.suspension import Question, Suspension
from contracts.ports.bus import Delivery, Done, Outgoing
from contracts.runtime.reading import entry
from tests.simulation import unreadable
from tests.simulation.asking import asked
from tests.simulation.choices import Choices
from tests.simulation.hands import Held, Kept
from tests.simulation.model_bus import ModelBus
from tests.simulation.parcels import Event, builder, unwrap, wrap
from tests.simulation.plans import ASKS, POISON
from tests.simulation.spending import NEEDS, Books
from tests.simulation.stepping import run
from tests.simulation.worker_reading import SteppedReader

LEASE_SECONDS = 6.0
ROLES = ("coder", "debugger", "tester", "planner")
STREAMS = tuple(Channels.requests(role) for role in ROLES)
SUSPECTS = tuple(Channels.suspects(role) for role in ROLES)
OUTAGE = TaskError(code="sandbox_unavailable", message="it is away")
_ERRORS = (
    None,
    TaskError(code="broken", message="it broke"),
    TaskError(code="refused", message="it cannot be done", retryable=False),
    OUTAGE,
)
_NEGATIVE_VERDICT = 4
ASKED = Suspension(question=Question(text="this or that?", choices=("this", "that")))
_build_heartbeat = builder(Heartbeat)
_build_outcome = builder(TaskOutcome)
_build_execution = builder(Execution)


@dataclass(slots=True)
class ModelWorker:
    """announce: broadcasts a heartbeat, False when the bus is away. keeper: who dies with it."""

    name: str
    slots: int
    bus: ModelBus
    choices: Choices
    new_commit: Callable[[], str]
    begun: Callable[[Held], None]
    announce: Callable[[Heartbeat], bool]
    books: Books
    supervised: bool = True
    keeper: str | None = None
    streams: tuple[str, ...] = STREAMS
    suspects: tuple[str, ...] = SUSPECTS
    paused: bool = False
    beat_at: float = 0.0
    held: dict[str, Held] = field(default_factory=dict)
    kept: dict[str, Kept] = field(default_factory=dict)
    acks: list[Delivery] = field(default_factory=list)
    letters: list[tuple[Outgoing, Delivery]] = field(default_factory=list)
    executions: int = 0
    _reader: SteppedReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = SteppedReader(
            self.bus,
            self.name,
            self.streams,
            self.suspects,
            lambda: {entry(one) for one in self._deliveries()},
        )

    @property
    def to_blame(self) -> frozenset[str]:
        """The dispatches its death may be held against: the only one it executes, or, while it executes
        none, what is about to start and what has ended without a word of it.
        """
        running = self.running
        if running:
            return running if len(running) == 1 else frozenset()
        return frozenset(self.near)

    @property
    def running(self) -> frozenset[str]:
        """What it executes."""
        return frozenset(name for name, held in self.held.items() if held.runs)

    @property
    def near(self) -> dict[str, bool]:
        """What it executes, is about to start, or has ended without a word of it -> is it a suspect."""
        starting = {name: held.alone for name, held in self.held.items() if held.started}
        return starting | {kept.dispatch_id: kept.alone for kept in self.kept.values() if not kept.said}

    def has(self, dispatch_id: str) -> bool:
        """Whether it holds a dispatch, or its outcome."""
        return dispatch_id in self.held or any(one.dispatch_id == dispatch_id for one in self.kept.values())

    def heartbeat(self) -> Heartbeat:
        return _build_heartbeat(
            worker_id=self.name,
            host="model",
            pid=1,
            roles=ROLES,
            streams=(*self.streams, *self.suspects),
            slots=self.slots,
            keeper_id=self.keeper,
            sequence=1,
            executions=tuple(
                _build_execution(
                    dispatch_id=name,
                    execution_id=held.execution_id,
                    started=held.started,
                    workflow_id=held.event.workflowid,
                )
                for name, held in self.held.items()
            ),
        )

    # --- reading, as contracts.runtime.reading does ---------------------------------------------------------

    def read(self, now: float) -> None:
        """Take what fits, first what an earlier read got and did not hear of."""
        free = self.slots - len(self.held)
        if free <= 0 or any(held.alone for held in self.held.values()):
            return
        try:
            found = self._reader.step(free)
        except GroupMissing:
            self.beat_at = 0.0
            self._resend_all()
        except BusUnavailable:
            return
        else:
            for number, delivery in enumerate(found):
                if number and self.keeper:
                    # A slot process has one execution; what else a read of several streams brought goes back.
                    self.letters.append((Outgoing(delivery.stream, delivery.payload), delivery))
                else:
                    self._receive(delivery, now)

    def _deliveries(self) -> list[Delivery]:
        held = [held.delivery for held in self.held.values()]
        kept = [delivery for kept in self.kept.values() for delivery in kept.deliveries]
        return held + kept + [delivery for _, delivery in self.letters] + self.acks

    def _receive(self, delivery: Delivery, now: float) -> None:
        event = unwrap(delivery.payload)
        kept = next((kept for kept in self.kept.values() if kept.dispatch_id == event.id), None)
        if event.id in self.held:
            self.acks.append(delivery)
        elif kept is not None:
            kept.deliveries.append(delivery)
            kept.due = 0.0
        elif delivery.stream in STREAMS and unreadable.LIKELY and self.choices.fault(unreadable.LIKELY):
            self.executions += 1
            self.letters.append((unreadable.letter(delivery, self.name, self.executions), delivery))
        else:
            self.executions += 1
            alone = delivery.stream in SUSPECTS
            held = Held(event, delivery, f"{self.name}-{self.executions}", alone, calm=self.choices.calm)
            if now - event.at > LEASE_SECONDS:
                held.asks_until = now + LEASE_SECONDS
                self.beat_at = 0.0
            self.held[event.id] = held
            self._start()

    # --- executing, as contracts.runtime.slots does ---------------------------------------------------------

    def _start(self) -> None:
        running = sum(held.started for held in self.held.values())
        for held in self.held.values():
            if held.asks_until is not None:
                continue
            if running >= self.slots or (running and held.alone):
                return
            if not held.started:
                held.started = True
                running += 1
                if held.alone:
                    return
                self._begin(held)

    def _begin(self, held: Held) -> None:
        held.runs = True
        self.begun(held)
        held.paid = self.books.pay(held.event)

    def work(self, now: float) -> bool:
        """Say that a suspect starts, or end one execution somehow. True when it takes the worker down."""
        self._stop_asking([name for name, held in self.held.items() if now >= (held.asks_until or math.inf)])
        for held in self.held.values():
            if held.alone and held.started and not held.runs:
                if self.announce(self.heartbeat()):
                    self._begin(held)
                return False
        running = [held for held in self.held.values() if held.runs]
        if not running:
            return False
        held = running[self.choices.below(len(running))]
        item: TodoItem = held.event.data
        if item.title == POISON:
            return True
        self._end(held, item)
        return False

    def _end(self, held: Held, item: TodoItem) -> None:
        kind = self.choices.fault(0.25, _NEGATIVE_VERDICT)
        error = None if kind == _NEGATIVE_VERDICT or not held.paid else _ERRORS[kind]
        asks = item.title == ASKS and not held.event.answers and not error
        verdict: Literal["failed", "passed"] = "failed" if kind == _NEGATIVE_VERDICT else "passed"
        succeeded = not error and not asks and held.paid
        outcome = _build_outcome(
            dispatch_id=held.event.id,
            execution_id=held.execution_id,
            worker_id=self.name,
            status="succeeded" if succeeded else "failed" if error else "suspended",
            commit=self.new_commit() if succeeded else None,
            verdict=verdict if item.agent_role == Role.TESTER and succeeded else None,
            error=error,
            suspended=None if succeeded or error else ASKED if held.paid else NEEDS,
            spent=self.books.close(held.event),
            **(asked(item, self.choices) if succeeded else {}),
        )
        event = Event(held.execution_id, held.event.workflowid, held.event.taskid, outcome)
        outgoing = Outgoing(Channels.results(0), wrap(event))
        self.kept[held.execution_id] = Kept(held.event.id, held.alone, outgoing, [held.delivery])
        del self.held[held.event.id]
        self._start()

    # --- reporting, as contracts.runtime.outbox does --------------------------------------------------------

    def report(self, now: float) -> None:
        """Publish what is due, then acknowledge."""
        due = [kept for kept in self.kept.values() if kept.due <= now]
        try:
            if self.letters:
                done = Done(Channels.WORKERS_GROUP, [delivery for _, delivery in self.letters])
                run(self.bus.answer(done, [letter for letter, _ in self.letters]))
                self.letters = []
            if due:
                run(self.bus.publish([kept.outgoing for kept in due]))
                for kept in due:
                    self.acks += kept.deliveries
                    kept.deliveries = []
                    kept.due, kept.said = now + 2.0, True
                if self.choices.fault(0.2):
                    return
            if self.acks:
                run(self.bus.ack(Channels.WORKERS_GROUP, self.acks))
                self.acks = []
        except BusUnavailable:
            self._resend_all()

    def _resend_all(self) -> None:
        for kept in self.kept.values():
            kept.due = 0.0

    def obey(self, control: Control) -> None:
        for execution_id in control.acknowledged:
            self._drop(execution_id)
        for dispatch_id in control.confirmed or ():
            if dispatch_id in self.held:
                self.held[dispatch_id].confirmed = True
        self._stop_asking(control.confirmed or ())
        for dispatch_id in control.recalled:
            held = self.held.pop(dispatch_id, None)
            if held is not None:
                self.acks.append(held.delivery)
            for name in [name for name, kept in self.kept.items() if kept.dispatch_id == dispatch_id]:
                self._drop(name)
        self._start()

    def _stop_asking(self, dispatch_ids: Iterable[str]) -> None:
        for dispatch_id in dispatch_ids:
            if dispatch_id in self.held:
                self.held[dispatch_id].asks_until = None
        self._start()

    def _drop(self, execution_id: str) -> None:
        kept = self.kept.pop(execution_id, None)
        if kept is not None:
            self.acks += kept.deliveries

"""What the orchestrator does with each message: apply it to the engine, and remember whom to answer."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import assert_never

import structlog

from contracts.base.errors import BusUnavailable, DecodeError
from contracts.messages.channels import Channels
from contracts.messages.events import decode
from contracts.messages.journal import OutcomeRefused
from contracts.messages.payloads import DeadLetteredMessage, Heartbeat, TaskOutcome, TaskRequest, WorkerLeft
from contracts.ports.artifacts import RefMove
from contracts.ports.bus import Delivery, Done, Outgoing
from orchestrator.core.events import Finished
from orchestrator.core.state import WorkflowStatus
from orchestrator.scheduling.batch import Command, DeadLetter, OutboxEntry, OutboxKind
from orchestrator.scheduling.dead_letters import unreadable
from orchestrator.scheduling.engine import Effects, Engine
from orchestrator.scheduling.messages import result_stream, unreadable_dispatch_outcome
from orchestrator.scheduling.outcome_guard import Credibility, HeldOutcome
from orchestrator.service.command_handler import CommandHandler
from orchestrator.service.fleet.workers import Workers
from orchestrator.service.inbox import (
    BusAway,
    BusReset,
    Drained,
    InboxMessage,
    MergeDone,
    OfferMade,
    StopAsked,
)
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.publisher import Publisher

logger = structlog.get_logger(__name__)

TICK_SECONDS = 0.25
HINT_SECONDS = 0.1


@dataclass(slots=True)
class InboxHandler:
    """Handles messages one by one between `begin` and `publish`; the term commits in between."""

    engine: Engine
    publisher: Publisher
    metrics: OrchestratorMetrics
    workers: Workers
    command_handler: CommandHandler
    now: float = 0.0
    """Of the batch, in seconds since 1970."""
    monotonic: float = 0.0
    """Of the batch, on the monotonic clock."""
    _acks: list[Delivery] = field(default_factory=list)
    """Deliveries to acknowledge after the commit."""
    _answers: list[Outgoing] = field(default_factory=list)
    """Outcomes of dispatches that no worker could read, for their owners."""
    _outdated: set[str] = field(default_factory=set)
    """Request streams to clear of what is out of date."""
    _clear_at: float = float("-inf")
    _acknowledged: dict[str, list[str]] = field(default_factory=dict)
    """Worker id -> executions whose outcome was received."""
    _changed: dict[str, None] = field(default_factory=dict)
    """Workflows that changed since the last hints."""
    _ticked_at: float = float("-inf")
    _hinted_at: float = float("-inf")

    async def resume(self, entries: Iterable[OutboxEntry]) -> list[tuple[str, RefMove]]:
        """Resume the outbox of an earlier term: look for its dispatches on the bus, return its ref moves."""
        entries = list(entries)
        dispatches = [entry.entry_id for entry in entries if entry.kind is OutboxKind.DISPATCH]
        self.publisher.delivered += [name for name in dispatches if name not in self.engine.in_flight]
        # An earlier term may have published any of them twice.
        self.workers.recovery.guard.copied.update(self.engine.in_flight)
        await self.workers.recovery.find_missing(dispatches)
        return [
            (entry.entry_id, RefMove(entry.workflow_id, entry.task_id, entry.commit))
            for entry in entries
            if entry.kind is OutboxKind.REF and entry.commit
        ]

    def begin(self, now: float, monotonic: float) -> None:
        """Start a batch at these times: seconds since 1970, and the monotonic clock."""
        self.now, self.monotonic = now, monotonic
        self.workers.begin(now, monotonic)

    def inspects_bus(self, items: Iterable[InboxMessage]) -> bool:
        """Whether this batch may inspect the bus, which requires that everything before it was published."""
        return self._tick_is_due or not all(isinstance(item, Delivery) for item in items)

    @property
    def _tick_is_due(self) -> bool:
        return self.monotonic - self._ticked_at >= TICK_SECONDS

    async def handle(self, item: InboxMessage) -> None:
        """Handle one message."""
        match item:
            case Delivery():
                self._handle_delivery(item)
            case Heartbeat():
                await self.workers.handle_heartbeat(item)
            case WorkerLeft():
                await self.workers.handle_left(item)
            case Command():
                await self.command_handler.handle(item, self.now, self.monotonic)
            case MergeDone():
                self._apply_merge(item)
            case OfferMade():
                self._record_offer(item)
            case BusAway() | BusReset():
                await self._handle_bus(item)
            case Drained():
                self.workers.handle_drained(item.ticket)
            case StopAsked():
                pass
            case _:
                assert_never(item)

    async def _handle_bus(self, item: BusAway | BusReset) -> None:
        if isinstance(item, BusAway):
            self.workers.leases.suspend()
        else:
            await self.workers.handle_bus_reset()

    def _record_offer(self, item: OfferMade) -> None:
        # A workflow that was retried meanwhile offers nothing.
        workflow = self.engine.workflows.get(item.workflow_id)
        if workflow is None or workflow.header.status is WorkflowStatus.FAILED:
            self.engine.record(item.workflow_id, item.entry)

    def _apply_merge(self, item: MergeDone) -> None:
        if item.workflow_id in self.engine.workflows:
            self.engine.apply(item.workflow_id, item.event, self.now, self.monotonic)

    async def tick(self) -> None:
        """Do the housekeeping when it is due, then dispatch what is ready."""
        if self._tick_is_due:
            self._ticked_at = self.monotonic
            self._judge_held()
            await self.workers.tick()
        self.engine.dispatch_ready(self.now, self.monotonic)

    async def publish(self, effects: Effects) -> None:
        """Publish what follows the commit: acknowledgements, dispatches, hints to workers and subscribers."""
        self.metrics.dispatches.inc(len(effects.dispatches))
        self._changed.update(effects.changed)
        recalls = self.workers.drain_recalls(effects.recalls)
        await self._clear_streams(effects.outdated, recalls)
        hints = self._hints(recalls, effects.changed)
        acks, self._acks = self._acks, []
        if self._answers:
            answers, self._answers = self._answers, []
            try:
                await self.publisher.send(answers)
            except BusUnavailable:
                # A message is acknowledged only after its answer was published.
                # The next batch may have added to both lists meanwhile.
                self._answers, self._acks, acks = answers + self._answers, acks + self._acks, []
        again = self.workers.drain_republish()
        self.workers.recovery.guard.copied.update(again)
        dispatches = [*again, *effects.dispatches]
        if not await self.publisher.publish(dispatches, hints, Done(Channels.ORCHESTRATORS_GROUP, acks)):
            self._acks += acks

    async def _clear_streams(self, streams: Iterable[str], recalls: dict[str, list[str]]) -> None:
        """Take what is out of date off these streams, at most once a tick; add to `recalls` what was read."""
        self._outdated.update(streams)
        if not self._outdated or self.monotonic < self._clear_at:
            return
        self._clear_at = self.monotonic + TICK_SECONDS
        with contextlib.suppress(BusUnavailable):
            for stream in sorted(self._outdated):
                for worker_id, names in (await self.workers.recovery.streams.clear(stream)).items():
                    known = recalls.setdefault(worker_id, [])
                    known += [name for name in names if name not in known]
                self._outdated.discard(stream)

    def _hints(self, recalled: dict[str, list[str]], changed: Iterable[str]) -> list[Outgoing]:
        """The hints that are due: at once what somebody waits for, the rest a few times a second."""
        workflows = self.engine.workflows
        ended = any(workflows[name].header.status.terminal for name in changed if name in workflows)
        confirmed = self.workers.drain_confirmed()
        waited_for = recalled or confirmed or ended
        if not waited_for and self.monotonic - self._hinted_at < HINT_SECONDS:
            return []
        self._hinted_at = self.monotonic
        acknowledged, self._acknowledged = self._acknowledged, {}
        everything, self._changed = self._changed, {}
        return self.publisher.hint_messages(acknowledged, recalled, confirmed, everything)

    def _handle_delivery(self, delivery: Delivery) -> None:
        """Apply a delivery. Whatever it raises, it must not come back to end every term (I7)."""
        self._acks.append(delivery)
        with self._buried(delivery):
            self._apply_delivery(delivery)

    @contextlib.contextmanager
    def _buried(self, delivery: Delivery) -> Iterator[None]:
        """Make a dead letter of a delivery with which something raises."""
        try:
            yield
        except Exception as error:
            logger.exception("delivery_failed", stream=delivery.stream)
            reason = f"{type(error).__name__}: {error}"
            self.engine.pending.dead_letters.append(unreadable(delivery, reason))

    def _apply_delivery(self, delivery: Delivery) -> None:
        try:
            event = decode(delivery.payload)
        except DecodeError as error:
            self.engine.pending.dead_letters.append(unreadable(delivery, error.reason))
            return
        match event.data:
            case TaskOutcome() if (
                event.workflowid and event.taskid and result_stream(event.workflowid) == delivery.stream
            ):
                self._judge_outcome(HeldOutcome(delivery, event.data, event.workflowid, event.taskid))
            case DeadLetteredMessage():
                self._store_unreadable_message(event.data, event.id)
            case _:
                self.engine.pending.dead_letters.append(
                    unreadable(delivery, f"{event.type} does not belong here")
                )

    def _judge_outcome(self, one: HeldOutcome) -> None:
        """Apply an outcome, or let it wait, unacknowledged, for a heartbeat of its worker."""
        guard = self.workers.recovery.guard
        found = self._credibility(one)
        if found is Credibility.UNHEARD and guard.hold(one, self.monotonic):
            self._acks.pop()
        else:
            self._apply_outcome(one, found)

    def _judge_held(self) -> None:
        """Apply the outcomes that have waited long enough, or whose worker was heard."""
        guard = self.workers.recovery.guard
        guard.retain(self.engine.in_flight)
        for one in guard.take_judged(self.engine.in_flight, self.monotonic):
            self._acks.append(one.delivery)
            with self._buried(one.delivery):
                self._apply_outcome(one, self._credibility(one))

    def _credibility(self, one: HeldOutcome) -> Credibility:
        if one.outcome.dispatch_id not in self.engine.in_flight:
            return Credibility.CREDIBLE
        return self.workers.recovery.guard.judge(one.outcome, self.monotonic)

    def _apply_outcome(self, one: HeldOutcome, found: Credibility) -> None:
        outcome, name = one.outcome, one.workflow_id
        self._acknowledged.setdefault(outcome.worker_id, []).append(outcome.execution_id)
        refused: str | None = "the workflow has ended, or is unknown"
        if found is not Credibility.CREDIBLE:
            refused = found.value
        elif name in self.engine.workflows:
            finished = Finished(one.task_id, outcome)
            refused = self.engine.apply(name, finished, self.now, self.monotonic).refused
        self.metrics.outcome(outcome.status, accepted=refused is None)
        if refused is not None:
            entry = OutcomeRefused(one.task_id, refused, outcome.dispatch_id, outcome.execution_id)
            self.engine.record(name, entry)

    def _store_unreadable_message(self, message: DeadLetteredMessage, message_id: str) -> None:
        """Store a message that a worker could not read.

        When it is a dispatch, its owner is told that it failed, or the task would wait for ever (I1).
        """
        raw = base64.b64decode(message.raw_base64)
        self.engine.pending.dead_letters.append(
            DeadLetter(message.stream, message.reason, raw, origin=message_id)
        )
        with contextlib.suppress(DecodeError):
            request = decode(raw)
            if isinstance(request.data, TaskRequest) and request.workflowid:
                self._answers.append(unreadable_dispatch_outcome(request, message.reason, self.now))

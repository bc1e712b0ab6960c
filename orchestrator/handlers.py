"""What an owner does with each arrival: turn it into inputs of the engine, remember whom to answer."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

import structlog

from contracts.channels import Channels
from contracts.errors import BusUnavailable, DecodeError
from contracts.events import (
    DeadMessage,
    Heartbeat,
    TaskEvent,
    TaskOutcome,
    TaskRequest,
    WorkerLeft,
    decode,
)
from contracts.failpoints import failpoint
from contracts.ports import Delivery, MessageBus, Outgoing, RefMove
from orchestrator.arrivals import Arrival, BusAway, BusReset, Drained, MergeDone
from orchestrator.batch import Command, DeadLetter, OutboxEntry, shard_of
from orchestrator.deaths import Death, executed, one_to_blame
from orchestrator.decision import Entry
from orchestrator.engine import Effects, Engine
from orchestrator.inputs import Finished, Lost, Overdue
from orchestrator.leases import Leases
from orchestrator.letters import given_up, unreadable
from orchestrator.messages import home, refusal, request_message
from orchestrator.metrics import OwnerMetrics
from orchestrator.publisher import Publisher
from orchestrator.recovery import Recovery
from orchestrator.state import TaskStatus
from orchestrator.store import Store
from orchestrator.wishes import Wishes

log = structlog.get_logger("orchestrator.handlers")

TICK_SECONDS = 0.25
OVERDUE_GRACE_SECONDS = 15.0
"""Workers enforce timeouts themselves; the owner steps in only when one says nothing for this long after."""


@dataclass(slots=True)
class Handlers:
    """Handles arrivals one by one between `begin` and `publish`; the owner commits in between."""

    engine: Engine
    leases: Leases
    publisher: Publisher
    store: Store
    bus: MessageBus
    metrics: OwnerMetrics
    recovery: Recovery
    wishes: Wishes
    now: float = 0.0
    monotonic: float = 0.0
    _acks: list[Delivery] = field(default_factory=list)
    _answers: list[Outgoing] = field(default_factory=list)
    _acknowledged: dict[str, list[str]] = field(default_factory=dict)
    _recalled: dict[str, list[str]] = field(default_factory=dict)
    _repeat: list[str] = field(default_factory=list)
    _gone: list[tuple[str, str]] = field(default_factory=list)
    _deaths: dict[int, Death] = field(default_factory=dict)
    _strangers: set[str] = field(default_factory=set)
    _out_before: set[str] = field(default_factory=set)
    _sweep_at: float | None = None
    _inspect_at: float = float("-inf")
    _ticked_at: float = float("-inf")

    async def resume(self, entries: Iterable[OutboxEntry]) -> list[tuple[str, RefMove]]:
        """What an earlier session may not have finished: dispatches are looked for, refs come back."""
        entries = list(entries)
        dispatches = [entry.entry_id for entry in entries if entry.kind == "dispatch"]
        self.publisher.settled += [name for name in dispatches if name not in self.engine.out]
        await self.recovery.look(dispatches)
        return [
            (entry.entry_id, RefMove(entry.workflow_id, entry.task_id, entry.commit))
            for entry in entries
            if entry.kind == "ref" and entry.commit
        ]

    def begin(self, now: float, monotonic: float) -> None:
        """A new batch starts at these times."""
        self.now, self.monotonic = now, monotonic

    async def take(self, item: Arrival) -> None:
        """Handle one arrival."""
        match item:
            case Delivery():
                self._guarded(item)
            case Heartbeat():
                await self._heartbeat(item)
            case WorkerLeft():
                await self._worker_left(item)
            case Command():
                await self.wishes.grant(item, self.now, self.monotonic)
            case MergeDone():
                self._merge_done(item)
            case BusAway():
                self.leases.deaf()
            case Drained():
                self._drained(item.ticket)
            case BusReset():
                self.publisher.forget_groups()
                await self._make_readable()
                self._sweep_at = self.monotonic + self.leases.lease_seconds / 2
            case _:
                assert_never(item)

    def _merge_done(self, item: MergeDone) -> None:
        if item.workflow_id in self.engine.workflows:
            self.engine.take(item.workflow_id, item.given, self.now, self.monotonic)

    async def tick(self) -> None:
        """Housekeeping a few times a second, then hand out what is ready."""
        if self.monotonic - self._ticked_at >= TICK_SECONDS:
            self._ticked_at = self.monotonic
            self.leases.listening(self.monotonic)
            for worker_id in self.leases.silent(self.monotonic):
                await self._worker_gone(worker_id, "silent", crashed=True)
            self._overdue()
            if self._sweep_at is not None and self.monotonic >= self._sweep_at:
                await self._sweep()
            if self.monotonic >= self._inspect_at:
                await self._inspect()
            await self._note_gone()
            self.metrics.workers.set(len(self.leases.workers))
        self.engine.fill(self.now, self.monotonic)

    async def _sweep(self) -> None:
        """Publish again what is in nobody's hands, also because its worker died while nobody listened."""
        for worker_id in sorted(await self.recovery.strangers() or ()):
            await self._forfeit(worker_id, self.recovery.streams)
        await self.store.workers_left_but(list(self.leases.workers), self.now, "not heard of")
        looked = await self.recovery.look(list(self.engine.out))
        self._sweep_at = None if looked else self.monotonic + self.leases.lease_seconds / 2

    async def _inspect(self) -> None:
        """Once a lease: who holds work and was not heard of for a lease is as dead as a silent worker.

        What was out a lease ago must be in somebody's hands, whatever happened to it meanwhile. And a stream
        or a group may be gone from a bus that is still the one it was.
        """
        self._inspect_at = self.monotonic + self.leases.lease_seconds
        strangers = await self.recovery.strangers() or set()
        for worker_id in sorted(strangers & self._strangers):
            await self._worker_gone(worker_id, "never heard of", crashed=True)
        self._strangers = strangers
        self.publisher.forget_groups()
        await self._make_readable()
        await self.recovery.look(sorted(self._out_before))
        self._out_before = set(self.engine.out)

    async def _make_readable(self) -> None:
        """Give all streams of living workers a group: one that is missing keeps them from reading any."""
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(sorted(self.leases.streams))

    async def publish(self, effects: Effects) -> None:
        """After the commit: dispatches, words to workers, acknowledgements, in this order."""
        repeat, self._repeat = self._repeat, []
        if effects.dispatches or repeat or self.publisher.behind:
            self.metrics.dispatches.inc(len(effects.dispatches))
            await self.publisher.dispatch([*repeat, *effects.dispatches])
        for worker_id, names in self.leases.holders(effects.recalls).items():
            self._recalled.setdefault(worker_id, []).extend(names)
        acknowledged, self._acknowledged = self._acknowledged, {}
        recalled, self._recalled = self._recalled, {}
        await self.publisher.tell(acknowledged, recalled, effects.changed)
        acks, self._acks = self._acks, []
        answers, self._answers = self._answers, []
        if acks:
            failpoint("owner.before_ack")
            with contextlib.suppress(BusUnavailable):
                # What led to an answer is acknowledged only once the answer is out.
                await self.publisher.send(answers)
                await self.bus.ack(Channels.OWNERS_GROUP, acks)
            failpoint("owner.after_ack")

    # --- outcomes ------------------------------------------------------------------------------------

    def _guarded(self, delivery: Delivery) -> None:
        """Whatever a delivery does, it must not come back with every session and end each one (I7)."""
        self._acks.append(delivery)
        try:
            self._delivered(delivery)
        except Exception as error:
            log.exception("delivery_failed", stream=delivery.stream)
            reason = f"{type(error).__name__}: {error}"
            self._bury(unreadable(delivery, reason))

    def _delivered(self, delivery: Delivery) -> None:
        try:
            event = decode(delivery.payload)
        except DecodeError as error:
            self._bury(unreadable(delivery, error.reason))
            return
        match event.data:
            case TaskOutcome() if (
                event.workflowid and event.taskid and home(event.workflowid) == delivery.stream
            ):
                self._outcome(event, event.workflowid, event.taskid)
            case DeadMessage():
                self._refused_by_a_worker(event.data, event.id)
            case _:
                self._bury(unreadable(delivery, f"{event.type} does not belong here"))

    def _outcome(self, event: TaskEvent[TaskOutcome], workflow_id: str, task_id: str) -> None:
        outcome = event.data
        self._acknowledged.setdefault(outcome.worker_id, []).append(outcome.execution_id)
        refused: str | None = "the workflow is over, or unknown"
        if workflow_id in self.engine.workflows:
            given = Finished(task_id, outcome)
            refused = self.engine.take(workflow_id, given, self.now, self.monotonic).refused
        self.metrics.outcomes.labels(accepted=str(refused is None).lower(), status=outcome.status).inc()
        if refused is not None:
            data = {"why": refused, "dispatch_id": outcome.dispatch_id, "execution_id": outcome.execution_id}
            self.engine.note(workflow_id, Entry("outcome.refused", task_id, data))

    def _refused_by_a_worker(self, message: DeadMessage, message_id: str) -> None:
        """Keep the bytes; the owner of a dispatch among them hears that it failed, or it would wait (I1)."""
        raw = base64.b64decode(message.raw_base64)
        self._bury(DeadLetter(message.stream, message.reason, raw, origin=message_id))
        with contextlib.suppress(DecodeError):
            request = decode(raw)
            if isinstance(request.data, TaskRequest) and request.workflowid:
                self._answers.append(refusal(request, message.reason, self.now))

    def _bury(self, letter: DeadLetter) -> None:
        log.warning("dead_letter", stream=letter.stream, reason=letter.reason)
        self.engine.pending.dead_letters.append(letter)

    # --- workers -------------------------------------------------------------------------------------

    async def _heartbeat(self, heartbeat: Heartbeat) -> None:
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(heartbeat.streams)
        if self.leases.heard(heartbeat, self.monotonic):
            log.info("worker_joined", worker_id=heartbeat.worker_id, roles=heartbeat.roles)
            await self.store.worker_joined(
                {
                    "worker_id": heartbeat.worker_id,
                    "host": heartbeat.host,
                    "pid": heartbeat.pid,
                    "roles": list(heartbeat.roles),
                    "streams": list(heartbeat.streams),
                    "slots": heartbeat.slots,
                    "joined_at": self.now,
                }
            )
        for workflow_id, name in self.recovery.stale(heartbeat):
            # Touched, so that an owner that was replaced recalls nothing of its successor's.
            self.engine.pending.shards.add(shard_of(workflow_id))
            self._recalled.setdefault(heartbeat.worker_id, []).append(name)
        self.engine.window = max(1024, 4 * self.leases.slots)

    async def _worker_left(self, left: WorkerLeft) -> None:
        await self._worker_gone(left.worker_id, left.reason, crashed=left.reason == "died", logs=left.logs)
        self._repeat += [name for name in left.handed_back if name in self.engine.out]

    async def _worker_gone(self, worker_id: str, why: str, *, crashed: bool, logs: str | None = None) -> None:
        """What a dead worker ran is lost, what it had only read goes out again."""
        heartbeat, listed = self.leases.remove(worker_id)
        orphans = [name for name, _ in listed if name in self.engine.out]
        log.warning("worker_gone", worker_id=worker_id, why=why, held=len(orphans))
        self._gone.append((worker_id, why))
        streams = heartbeat.streams if heartbeat else self.recovery.streams
        read = await self._forfeit(worker_id, streams)
        if read is None:
            self._sweep_at = self.monotonic + self.leases.lease_seconds / 2
        held = dict.fromkeys([*orphans, *(read or ())])
        if not crashed:
            self._repeat += held
            return
        ran = executed(heartbeat, read, self.engine.is_suspect)
        if ran or held:
            # Their outcomes may have been published and not read yet; what was done must not be done again.
            waiting = tuple(name for name in held if name not in ran)
            self._deaths[self.recovery.gate.ask()] = Death(
                worker_id, tuple(sorted(ran)), waiting, logs, one_to_blame(heartbeat, read)
            )

    async def _forfeit(self, worker_id: str, streams: Iterable[str]) -> list[str] | None:
        """The dispatches that a gone worker had read, None when the bus is away."""
        taken = await self.recovery.forfeit(worker_id, streams)
        for delivery in taken.unreadable if taken else ():
            self._bury(unreadable(delivery, f"it cannot be read, and worker {worker_id} died with it"))
        return taken.dispatch_ids if taken else None

    def _drained(self, ticket: int) -> None:
        """All outcomes up to the look are in: what is still out is really lost."""
        self._repeat += self.recovery.drained(ticket)
        for asked in [number for number in self._deaths if number <= ticket]:
            death = self._deaths.pop(asked)
            self._repeat += filter(self._nowhere, death.waiting)
            for name in filter(self._nowhere, death.executed):
                self._lose(name, death)

    def _nowhere(self, dispatch_id: str) -> bool:
        return dispatch_id in self.engine.out and not self.leases.held(dispatch_id)

    def _lose(self, dispatch_id: str, death: Death) -> None:
        """A dispatch died with its worker; its task, when it is given up for that, leaves a dead letter."""
        workflow_id, task_id = self.engine.out[dispatch_id]
        workflow = self.engine.workflows[workflow_id]
        message = request_message(workflow.header, workflow.tasks[task_id])
        self.metrics.lost.inc()
        lost = Lost(task_id, dispatch_id, death.worker_id, death.alone)
        self.engine.take(workflow_id, lost, self.now, self.monotonic)
        task = workflow.tasks[task_id]
        if task.status is TaskStatus.DEAD:
            self._bury(given_up(message, workflow_id, task, death.logs))

    async def _note_gone(self) -> None:
        gone, self._gone = self._gone, []
        for worker_id, why in gone:
            await self.store.workers_left([worker_id], self.now, why)

    def _overdue(self) -> None:
        for name, holding in list(self.leases.holdings.items()):
            place = self.engine.out.get(name)
            if place is None or holding.started_at is None:
                continue
            limit = self.engine.workflows[place[0]].tasks[place[1]].item.timeout_seconds
            if self.monotonic - holding.started_at > limit + OVERDUE_GRACE_SECONDS:
                self.engine.take(place[0], Overdue(place[1], name), self.now, self.monotonic)

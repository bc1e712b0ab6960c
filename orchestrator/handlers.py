"""What an owner does with each arrival: turn it into inputs of the engine, and remember whom to answer."""

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
    TaskError,
    TaskEvent,
    TaskOutcome,
    WorkerLeft,
    decode,
)
from contracts.ports import Delivery, MessageBus, RefMove
from orchestrator.arrivals import Arrival, BusAway, BusReset, Drained, MergeDone
from orchestrator.batch import Command, DeadLetter, OutboxEntry
from orchestrator.decision import Entry
from orchestrator.engine import Effects, Engine
from orchestrator.inputs import Finished, Lost, Overdue
from orchestrator.leases import Leases
from orchestrator.metrics import OwnerMetrics
from orchestrator.publisher import Publisher
from orchestrator.recovery import Recovery
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
    _acknowledged: dict[str, list[str]] = field(default_factory=dict)
    _recalled: dict[str, list[str]] = field(default_factory=dict)
    _repeat: list[str] = field(default_factory=list)
    _gone: list[tuple[str, str]] = field(default_factory=list)
    _lost: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    _strangers: set[str] = field(default_factory=set)
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
            await self.recovery.forfeit(worker_id, self.recovery.streams)
        await self.store.workers_left_but(list(self.leases.workers), self.now, "not heard of")
        looked = await self.recovery.look(list(self.engine.out))
        self._sweep_at = None if looked else self.monotonic + self.leases.lease_seconds / 2

    async def _inspect(self) -> None:
        """Once a lease: who holds work and was not heard of for a lease is as dead as a silent worker.

        And a stream or a group may be gone from a bus that is still the one it was.
        """
        self._inspect_at = self.monotonic + self.leases.lease_seconds
        strangers = await self.recovery.strangers() or set()
        for worker_id in sorted(strangers & self._strangers):
            await self._worker_gone(worker_id, "never heard of", crashed=True)
        self._strangers = strangers
        self.publisher.forget_groups()
        await self.recovery.look(list(self.engine.out))

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
        if acks:
            with contextlib.suppress(BusUnavailable):
                await self.bus.ack(Channels.OWNERS_GROUP, acks)

    # --- outcomes ------------------------------------------------------------------------------------

    def _guarded(self, delivery: Delivery) -> None:
        """Whatever a delivery does, it must not come back with every session and end each one (I7)."""
        self._acks.append(delivery)
        try:
            self._delivered(delivery)
        except Exception as error:
            log.exception("delivery_failed", stream=delivery.stream)
            reason = f"{type(error).__name__}: {error}"
            self._bury(DeadLetter(delivery.stream, reason, delivery.payload))

    def _delivered(self, delivery: Delivery) -> None:
        try:
            event = decode(delivery.payload)
        except DecodeError as error:
            self._bury(DeadLetter(delivery.stream, error.reason, error.raw))
            return
        match event.data:
            case TaskOutcome() if event.workflowid and event.taskid:
                self._outcome(event, event.workflowid, event.taskid)
            case DeadMessage():
                self._refused_by_a_worker(event.data)
            case _:
                self._bury(
                    DeadLetter(delivery.stream, f"{event.type} does not belong here", delivery.payload)
                )

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

    def _refused_by_a_worker(self, message: DeadMessage) -> None:
        """Keep the bytes; a dispatch among them has failed, or its task would wait for ever (I1)."""
        raw = base64.b64decode(message.raw_base64)
        self._bury(DeadLetter(message.stream, message.reason, raw))
        with contextlib.suppress(DecodeError):
            request = decode(raw)
            if request.id in self.engine.out:
                workflow_id, task_id = self.engine.out[request.id]
                error = TaskError(code="refused_by_worker", message=message.reason)
                outcome = TaskOutcome(
                    dispatch_id=request.id,
                    execution_id=request.id,
                    worker_id="none",
                    status="failed",
                    error=error,
                )
                self.engine.take(workflow_id, Finished(task_id, outcome), self.now, self.monotonic)

    def _bury(self, letter: DeadLetter) -> None:
        log.warning("dead_letter", stream=letter.stream, reason=letter.reason)
        self.engine.pending.dead_letters.append(letter)

    # --- workers -------------------------------------------------------------------------------------

    async def _heartbeat(self, heartbeat: Heartbeat) -> None:
        # Not only of a new worker: one stream without its group keeps a worker from reading any (I5).
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
        stale = [one.dispatch_id for one in heartbeat.executions if one.dispatch_id not in self.engine.out]
        if stale:
            self._recalled.setdefault(heartbeat.worker_id, []).extend(stale)
        self.engine.window = max(1024, 4 * self.leases.slots)

    async def _worker_left(self, left: WorkerLeft) -> None:
        await self._worker_gone(left.worker_id, left.reason, crashed=left.reason == "died")
        self._repeat += [name for name in left.handed_back if name in self.engine.out]

    async def _worker_gone(self, worker_id: str, why: str, *, crashed: bool) -> None:
        """What a dead worker ran is lost, what it had only read goes out again."""
        heartbeat, orphans = self.leases.remove(worker_id)
        log.warning("worker_gone", worker_id=worker_id, why=why, held=len(orphans))
        self._gone.append((worker_id, why))
        lost = {name for name, started in orphans if started and crashed}
        streams = heartbeat.streams if heartbeat else self.recovery.streams
        forfeited = await self.recovery.forfeit(worker_id, streams)
        if forfeited is None:
            self._sweep_at = self.monotonic + self.leases.lease_seconds / 2
        for name in forfeited or ():
            # A worker reads only what it starts at once, so what it read and never listed was running.
            (lost.add if crashed else self._repeat.append)(name)
        self._repeat += [name for name, _ in orphans if name not in lost]
        if lost:
            # Their outcomes may have been published and not read yet; what was done must not be done again.
            self._lost[self.recovery.gate.ask()] = (worker_id, sorted(lost))
        # Nobody listed what it had finished, and after a loss of the bus no stream has it: if its last words
        # are missing, they are in nobody's hands either.
        known = {*lost, *self._repeat}
        if not await self.recovery.look([name for name in self.engine.out if name not in known]):
            self._sweep_at = self.monotonic + self.leases.lease_seconds / 2

    def _drained(self, ticket: int) -> None:
        """All outcomes up to the look are in: what is still out is really lost."""
        self._repeat += self.recovery.drained(ticket)
        for asked in [number for number in self._lost if number <= ticket]:
            worker_id, names = self._lost.pop(asked)
            for name in names:
                if name in self.engine.out and not self.leases.held(name):
                    workflow_id, task_id = self.engine.out[name]
                    self.metrics.lost.inc()
                    self.engine.take(workflow_id, Lost(task_id, name, worker_id), self.now, self.monotonic)

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

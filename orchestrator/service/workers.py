"""The workers: which are alive, which are gone, and what becomes of the work they held."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from contracts.base.errors import BusUnavailable
from contracts.messages.payloads import Heartbeat, WorkerLeft
from orchestrator.core.events import Lost, Overdue
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import TaskStatus
from orchestrator.scheduling.crash_attribution import Death, executed, executed_alone
from orchestrator.scheduling.dead_letters import dead_lettered_task, unreadable
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import request_message
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.publisher import Publisher
from orchestrator.service.recovery import Recovery
from orchestrator.storage.queries import WorkerView

logger = structlog.get_logger(__name__)

OVERDUE_GRACE_SECONDS = 15.0
"""Workers enforce timeouts themselves; the orchestrator does so this long after a worker should have."""


class WorkerRegister(Protocol):
    """Where people see which workers there are. Times are seconds since 1970. Raises StoreUnavailable."""

    async def add_worker(self, worker: WorkerView) -> None: ...

    async def mark_workers_left_except(self, living: Iterable[str], at: float, why: str) -> None: ...

    async def mark_workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None: ...


@dataclass(slots=True)
class Workers:
    """Handles messages about workers between `begin` and the commit; `drain_*` then returns what to do."""

    engine: Engine
    leases: Leases
    publisher: Publisher
    store: WorkerRegister
    metrics: OrchestratorMetrics
    recovery: Recovery
    now: float = 0.0
    """Of the batch, in seconds since 1970."""
    monotonic: float = 0.0
    """Of the batch, on the monotonic clock."""
    _recalled: dict[str, list[str]] = field(default_factory=dict)
    """Worker id -> dispatches that it runs though they are out of date."""
    _republish: list[str] = field(default_factory=list)
    _gone: list[tuple[str, str]] = field(default_factory=list)
    """(worker id, reason), to be stored."""
    _deaths: dict[int, Death] = field(default_factory=dict)
    """Ticket -> the death that is handled when the ticket is answered."""
    _unknown: set[str] = field(default_factory=set)
    """Consumers without a heartbeat at the last inspection."""
    _in_flight_before: set[str] = field(default_factory=set)
    """What was in flight at the last inspection."""
    _sweep_at: float | None = None
    _inspect_at: float = float("-inf")

    def begin(self, now: float, monotonic: float) -> None:
        """Start a batch at these times: seconds since 1970, and the monotonic clock."""
        self.now, self.monotonic = now, monotonic

    def drain_republish(self) -> list[str]:
        """Return the dispatches to publish again, and forget them."""
        republish, self._republish = self._republish, []
        return republish

    def drain_recalls(self, recalls: Iterable[str]) -> dict[str, list[str]]:
        """Worker id -> dispatches that it should stop: these, and those found to be out of date."""
        recalled, self._recalled = self._recalled, {}
        for worker_id, names in self.leases.holders(recalls).items():
            recalled.setdefault(worker_id, []).extend(names)
        return recalled

    async def handle_bus_reset(self) -> None:
        """Restore groups and dispatches: the bus is another one, or has lost everything."""
        self.publisher.forget_groups()
        await self._make_readable()
        self._sweep_soon()

    async def tick(self) -> None:
        """Do the housekeeping: leases, overdue dispatches, lost dispatches."""
        self.leases.mark_caught_up(self.monotonic)
        for worker_id in self.leases.expired(self.monotonic):
            await self._remove(worker_id, "silent", crashed=True)
        self._expire_overdue()
        if self._sweep_at is not None and self.monotonic >= self._sweep_at:
            await self._sweep()
        if self.monotonic >= self._inspect_at:
            await self._inspect()
        await self._record_left()
        self.metrics.workers.set(len(self.leases.workers))

    async def _sweep(self) -> None:
        """Look for lost dispatches, also those of workers that died while no orchestrator listened."""
        for worker_id in sorted(await self.recovery.unknown_consumers() or ()):
            await self._reclaim(worker_id, self.recovery.streams)
        await self.store.mark_workers_left_except(list(self.leases.workers), self.now, "no heartbeat")
        inspected = await self.recovery.find_missing(list(self.engine.in_flight))
        self._sweep_at = None
        if not inspected:
            self._sweep_soon()

    def _sweep_soon(self) -> None:
        self._sweep_at = self.monotonic + self.leases.lease_seconds / 2

    async def _inspect(self) -> None:
        """Check once a lease what no message would reveal.

        A consumer that holds entries and sent no heartbeat for a lease is dead. What was in flight a lease
        ago must be held by a worker or a stream. And a stream or a group may be missing from the same bus.
        """
        self._inspect_at = self.monotonic + self.leases.lease_seconds
        unknown = await self.recovery.unknown_consumers() or set()
        for worker_id in sorted(unknown & self._unknown):
            await self._remove(worker_id, "no heartbeat", crashed=True)
        self._unknown = unknown
        self.publisher.forget_groups()
        await self._make_readable()
        await self.recovery.find_missing(sorted(self._in_flight_before))
        self._in_flight_before = set(self.engine.in_flight)

    async def _make_readable(self) -> None:
        """Create the group on all streams of living workers: a missing one keeps them from reading any."""
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(sorted(self.leases.streams))

    async def handle_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Renew the lease of a worker; its first heartbeat registers it."""
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(heartbeat.streams)
        if self.leases.renew(heartbeat, self.monotonic):
            logger.info("worker_joined", worker_id=heartbeat.worker_id, roles=heartbeat.roles)
            await self.store.add_worker(
                WorkerView(
                    heartbeat.worker_id,
                    heartbeat.host,
                    heartbeat.pid,
                    tuple(heartbeat.roles),
                    tuple(heartbeat.streams),
                    heartbeat.slots,
                    self.now,
                )
            )
        for workflow_id, name in self.recovery.stale_executions(heartbeat):
            # The commit must prove the ownership: a former owner must recall nothing of its successor's.
            self.engine.pending.shards.add(shard_of(workflow_id))
            self._recalled.setdefault(heartbeat.worker_id, []).append(name)
        self.engine.window = max(1024, 4 * self.leases.slots)

    async def handle_left(self, left: WorkerLeft) -> None:
        """Remove a worker that left, or whose supervisor reports its death."""
        await self._remove(left.worker_id, left.reason, crashed=left.reason == "died", logs=left.logs)
        self._republish += [name for name in left.handed_back if name in self.engine.in_flight]

    async def _remove(self, worker_id: str, why: str, *, crashed: bool, logs: str | None = None) -> None:
        """Remove a worker. If it crashed, what it executed is lost; what it only read is published again."""
        heartbeat, listed = self.leases.remove(worker_id)
        orphans = [name for name, _ in listed if name in self.engine.in_flight]
        logger.warning("worker_gone", worker_id=worker_id, reason=why, held=len(orphans))
        self._gone.append((worker_id, why))
        streams = heartbeat.streams if heartbeat else self.recovery.streams
        read = await self._reclaim(worker_id, streams)
        if read is None:
            self._sweep_soon()
        held = dict.fromkeys([*orphans, *(read or ())])
        if not crashed:
            self._republish += held
            return
        ran = executed(heartbeat, read, self.engine.is_suspect)
        if ran or held:
            # Their outcomes may have been published and not read yet; what succeeded must not run again.
            waiting = tuple(name for name in held if name not in ran)
            self._deaths[self.recovery.gate.ask()] = Death(
                worker_id, tuple(sorted(ran)), waiting, logs, executed_alone(heartbeat, read)
            )

    async def _reclaim(self, worker_id: str, streams: Iterable[str]) -> list[str] | None:
        """The dispatches that a removed worker had read, None when the bus is unavailable."""
        reclaimed = await self.recovery.reclaim(worker_id, streams)
        for delivery in reclaimed.unreadable if reclaimed else ():
            reason = f"it cannot be read, and worker {worker_id} died with it"
            self.engine.pending.dead_letters.append(unreadable(delivery, reason))
        return reclaimed.dispatch_ids if reclaimed else None

    def handle_drained(self, ticket: int) -> None:
        """Act on inspections up to this ticket: all outcomes are read, so what is still missing is lost."""
        self._republish += self.recovery.confirm_missing(ticket)
        for asked in [number for number in self._deaths if number <= ticket]:
            death = self._deaths.pop(asked)
            self._republish += filter(self._is_missing, death.waiting)
            for name in filter(self._is_missing, death.executed):
                self._lose(name, death)

    def _is_missing(self, dispatch_id: str) -> bool:
        return dispatch_id in self.engine.in_flight and not self.leases.is_held(dispatch_id)

    def _lose(self, dispatch_id: str, death: Death) -> None:
        """Apply the loss of a dispatch; store a dead letter when this dead-letters its task."""
        workflow_id, task_id = self.engine.in_flight[dispatch_id]
        workflow = self.engine.workflows[workflow_id]
        message = request_message(workflow.header, workflow.tasks[task_id])
        self.metrics.lost.inc()
        lost = Lost(task_id, dispatch_id, death.worker_id, death.alone)
        self.engine.apply(workflow_id, lost, self.now, self.monotonic)
        task = workflow.tasks[task_id]
        if task.status is TaskStatus.DEAD:
            self.engine.pending.dead_letters.append(
                dead_lettered_task(message, workflow_id, task, death.logs)
            )

    async def _record_left(self) -> None:
        gone, self._gone = self._gone, []
        for worker_id, why in gone:
            await self.store.mark_workers_left([worker_id], self.now, why)

    def _expire_overdue(self) -> None:
        for name, holding in list(self.leases.holdings.items()):
            place = self.engine.in_flight.get(name)
            if place is None or holding.started_at is None:
                continue
            limit = self.engine.workflows[place[0]].tasks[place[1]].item.timeout_seconds
            if self.monotonic - holding.started_at > limit + OVERDUE_GRACE_SECONDS:
                self.engine.apply(place[0], Overdue(place[1], name), self.now, self.monotonic)

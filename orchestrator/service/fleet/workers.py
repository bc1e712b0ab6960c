"""The workers: which are heard, which are silent or gone, and what becomes of the work they held."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from contracts.base.errors import BusUnavailable
from contracts.messages.journal import TaskPassedOn
from contracts.messages.payloads import Heartbeat, WorkerLeft
from orchestrator.core.events import Lost, Overdue
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import TaskStatus
from orchestrator.scheduling.crash_attribution import Departure, Hands, death
from orchestrator.scheduling.dead_letters import dead_lettered_task, unreadable
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import request_message
from orchestrator.service.fleet.recovery import Recovery
from orchestrator.service.fleet.register import WorkerRegister
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.publisher import Publisher

logger = structlog.get_logger(__name__)

OVERDUE_GRACE_SECONDS = 15.0
"""Workers enforce timeouts themselves; the orchestrator does so this long after a worker should have."""


@dataclass(slots=True)
class Workers:
    """Handles messages about workers between `begin` and the commit; `drain_*` then returns what to do.

    A silent worker is in doubt: it may be dead, or come back. What it held is published again as it is, and
    the first outcome wins. Only the word of whoever saw a process end is a death, which is counted.
    """

    engine: Engine
    leases: Leases
    publisher: Publisher
    register: WorkerRegister
    metrics: OrchestratorMetrics
    recovery: Recovery
    now: float = 0.0
    """Of the batch, in seconds since 1970."""
    monotonic: float = 0.0
    """Of the batch, on the monotonic clock."""
    _recalled: dict[str, list[str]] = field(default_factory=dict)
    """Worker id -> dispatches that it should not run."""
    _confirmed: dict[str, list[str]] = field(default_factory=dict)
    """Worker id -> dispatches that it may start."""
    _republish: list[str] = field(default_factory=list)
    _departures: dict[int, list[Departure]] = field(default_factory=dict)
    """Ticket -> what is handled when the ticket is answered."""
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
        for worker_id, names in self.leases.holdings.holders(recalls).items():
            recalled.setdefault(worker_id, []).extend(names)
        return recalled

    def drain_confirmed(self) -> dict[str, list[str]]:
        """Worker id -> dispatches that it may start, those that are still current; forget them."""
        confirmed, self._confirmed = self._confirmed, {}
        current = {
            worker_id: [name for name in names if name in self.engine.in_flight]
            for worker_id, names in confirmed.items()
        }
        return {worker_id: names for worker_id, names in current.items() if names}

    async def handle_bus_reset(self) -> None:
        """Restore groups and dispatches: the bus is another one, or has lost everything."""
        self.publisher.forget_groups()
        # An old copy of the bus may hold again what was read.
        self.recovery.guard.copied.update(self.engine.in_flight)
        await self._make_readable()
        self._sweep_soon()

    async def tick(self) -> None:
        """Do the housekeeping: leases, overdue dispatches, lost dispatches."""
        self.leases.mark_caught_up(self.monotonic)
        for worker_id in self.leases.expired(self.monotonic):
            await self._doubt(worker_id, "silent")
        self._expire_overdue()
        if self._sweep_at is not None and self.monotonic >= self._sweep_at:
            await self._sweep()
        if self.monotonic >= self._inspect_at:
            await self._inspect()
        await self.register.write(self.now)
        self.metrics.workers.set(self.register.count)

    async def _sweep(self) -> None:
        """Look for lost dispatches, also those of workers that died while no orchestrator listened."""
        for worker_id in sorted(await self.recovery.streams.unknown_consumers() or ()):
            await self._reclaim(worker_id, self.recovery.streams.in_use)
        await self.register.write_all_left(self.now, "no heartbeat")
        inspected = await self.recovery.find_missing(list(self.engine.in_flight))
        self._sweep_at = None
        if not inspected:
            self._sweep_soon()

    def _sweep_soon(self) -> None:
        self._sweep_at = self.monotonic + self.leases.lease_seconds / 2

    async def _inspect(self) -> None:
        """Check once a lease what no message would reveal.

        A consumer that holds entries and sent no heartbeat for a lease is in doubt. What was in flight a
        lease ago must be held by a worker or a stream. And a stream or a group may be missing from the bus.
        """
        self._inspect_at = self.monotonic + self.leases.lease_seconds
        unknown = await self.recovery.streams.unknown_consumers() or set()
        for worker_id in sorted(unknown & self._unknown):
            await self._doubt(worker_id, "no heartbeat")
        self._unknown = unknown
        self.publisher.forget_groups()
        await self._make_readable()
        await self.recovery.find_missing(sorted(self._in_flight_before))
        self._in_flight_before = set(self.engine.in_flight)

    async def _make_readable(self) -> None:
        """Create the group on all streams of heard workers: a missing one keeps them from reading any."""
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(sorted(self.leases.streams))

    async def handle_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Renew the lease of a worker; its first heartbeat registers it."""
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(heartbeat.streams)
        if self.leases.renew(heartbeat, self.monotonic):
            logger.info("worker_joined", worker_id=heartbeat.worker_id, roles=heartbeat.roles)
            self.register.joined(heartbeat)
        words = self.recovery.words(heartbeat)
        for said, found in ((self._recalled, words.recalled), (self._confirmed, words.confirmed)):
            for workflow_id, name in found:
                # The commit must prove the ownership: a former owner must say nothing of its successor's.
                self.engine.pending.shards.add(shard_of(workflow_id))
                said.setdefault(heartbeat.worker_id, []).append(name)
        self.engine.window = max(1024, 4 * self.leases.slots)

    async def handle_left(self, left: WorkerLeft) -> None:
        """Remove a worker that left or died, or a keeper with all its workers."""
        self.leases.announce(left.worker_id)
        held: list[str] = []
        hands = []
        for worker_id in self.leases.members(left.worker_id):
            names, one = await self._take(worker_id, left.reason)
            held += names
            hands.append(one)
        if left.reason == "died":
            self._at_gate(death(left.worker_id, held, hands, self.engine.is_suspect, left.logs))
        else:
            self._at_gate(Departure(left.worker_id, (*held, *left.handed_back)))

    async def _doubt(self, worker_id: str, why: str) -> None:
        """Give what a silent worker holds to others: the same dispatches, and nobody is blamed."""
        self.metrics.expiries.inc()
        view = self.leases.workers.get(worker_id)
        silent = self.monotonic - view.renewed_at if view else self.leases.lease_seconds
        held, hands = await self._take(worker_id, why)
        unseen = [name for name in hands.read or () if name not in hands.started]
        self.leases.holdings.charge((name for name in unseen if not self.engine.is_suspect(name)), silent)
        self._at_gate(Departure(worker_id, tuple(held), silent=True))

    def _at_gate(self, departure: Departure) -> None:
        """Act once all outcomes are read: what has succeeded must not run again."""
        if departure.waiting or departure.executed:
            self._departures.setdefault(self.recovery.gate.ask(), []).append(departure)

    async def _take(self, worker_id: str, why: str) -> tuple[list[str], Hands]:
        """Remove a worker and acknowledge what it had read; what was in its hands, and what it executed."""
        heartbeat, orphans = self.leases.remove(worker_id, self.monotonic)
        self.register.gone(worker_id, heartbeat, why)
        streams = heartbeat.streams if heartbeat else self.recovery.streams.in_use
        read = await self._reclaim(worker_id, streams)
        if read is None:
            self._sweep_soon()
        held = [name for name in dict.fromkeys([*orphans, *(read or ())]) if name in self.engine.in_flight]
        logger.warning("worker_gone", worker_id=worker_id, reason=why, held=len(held))
        executions = heartbeat.executions if heartbeat else ()
        started = frozenset(one.dispatch_id for one in executions if one.started)
        waited = len(started) < len(executions)
        return held, Hands(started, None if read is None else frozenset(read), waited)

    async def _reclaim(self, worker_id: str, streams: Iterable[str]) -> list[str] | None:
        """The dispatches that a removed worker had read, None when the bus is unavailable."""
        reclaimed = await self.recovery.streams.reclaim(worker_id, streams)
        for delivery in reclaimed.unreadable if reclaimed else ():
            reason = f"it cannot be read, and worker {worker_id} went with it"
            self.engine.pending.dead_letters.append(unreadable(delivery, reason))
        return reclaimed.dispatch_ids if reclaimed else None

    def handle_drained(self, ticket: int) -> None:
        """Act on inspections up to this ticket: all outcomes are read, so what is still missing is lost."""
        self._republish += self.recovery.confirm_missing(ticket)
        for asked in [number for number in self._departures if number <= ticket]:
            for departure in self._departures.pop(asked):
                for name in filter(self.recovery.is_missing, departure.waiting):
                    self._pass_on(name, departure)
                for name in filter(self.recovery.is_missing, departure.executed):
                    self._lose(name, departure)

    def _pass_on(self, dispatch_id: str, departure: Departure) -> None:
        self._republish.append(dispatch_id)
        if departure.silent:
            workflow_id, task_id = self.engine.in_flight[dispatch_id]
            attempt = self.engine.workflows[workflow_id].tasks[task_id].attempt
            entry = TaskPassedOn(task_id, attempt, dispatch_id, departure.worker_id)
            self.engine.record(workflow_id, entry)

    def _lose(self, dispatch_id: str, departure: Departure) -> None:
        """Apply the loss of a dispatch; store a dead letter when this dead-letters its task."""
        workflow_id, task_id = self.engine.in_flight[dispatch_id]
        workflow = self.engine.workflows[workflow_id]
        message = request_message(workflow.header, workflow.tasks[task_id])
        self.metrics.lost.inc()
        lost = Lost(task_id, dispatch_id, departure.worker_id, dispatch_id in departure.counted)
        self.engine.apply(workflow_id, lost, self.now, self.monotonic)
        task = workflow.tasks[task_id]
        if task.status is TaskStatus.DEAD:
            self.engine.pending.dead_letters.append(
                dead_lettered_task(message, workflow_id, task, departure.logs)
            )

    def _expire_overdue(self) -> None:
        holdings = self.leases.holdings
        holdings.retain(self.engine.in_flight)
        for name, seconds in holdings.executed_seconds(self.monotonic).items():
            place = self.engine.in_flight.get(name)
            if place is None:
                continue
            limit = self.engine.workflows[place[0]].tasks[place[1]].item.timeout_seconds
            if seconds > limit + OVERDUE_GRACE_SECONDS:
                self.engine.apply(place[0], Overdue(place[1], name), self.now, self.monotonic)

"""Workers as an owner sees them: who is there, who has gone, and what became of the work they held."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from contracts.base.errors import BusUnavailable
from contracts.messages.events import Heartbeat, WorkerLeft
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
from orchestrator.storage.store import Store

logger = structlog.get_logger(__name__)

OVERDUE_GRACE_SECONDS = 15.0
"""Workers enforce timeouts themselves; the owner steps in only when one says nothing for this long after."""


@dataclass(slots=True)
class Workers:
    """Takes what is heard of workers between `begin` and the commit; what it leads to is fetched after it."""

    engine: Engine
    leases: Leases
    publisher: Publisher
    store: Store
    metrics: OrchestratorMetrics
    recovery: Recovery
    now: float = 0.0
    monotonic: float = 0.0
    _recalled: dict[str, list[str]] = field(default_factory=dict)
    _republish: list[str] = field(default_factory=list)
    _gone: list[tuple[str, str]] = field(default_factory=list)
    _deaths: dict[int, Death] = field(default_factory=dict)
    _unknown: set[str] = field(default_factory=set)
    _in_flight_before: set[str] = field(default_factory=set)
    _sweep_at: float | None = None
    _inspect_at: float = float("-inf")

    def begin(self, now: float, monotonic: float) -> None:
        """A new batch starts at these times."""
        self.now, self.monotonic = now, monotonic

    def drain_republished(self) -> list[str]:
        """Dispatches to publish again, once."""
        repeat, self._republish = self._republish, []
        return repeat

    def drain_recalls(self, recalls: Iterable[str]) -> dict[str, list[str]]:
        """Worker id -> dispatches to let go of: these, and those found stale in its hands."""
        recalled, self._recalled = self._recalled, {}
        for worker_id, names in self.leases.holders(recalls).items():
            recalled.setdefault(worker_id, []).extend(names)
        return recalled

    async def handle_bus_reset(self) -> None:
        """The bus is another one, or has lost everything."""
        self.publisher.forget_groups()
        await self._make_readable()
        self._sweep_soon()

    async def tick(self) -> None:
        """Housekeeping a few times a second."""
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
        """Publish again what is in nobody's hands, also because its worker died while nobody listened."""
        for worker_id in sorted(await self.recovery.unknown_consumers() or ()):
            await self._reclaim(worker_id, self.recovery.streams)
        await self.store.mark_workers_left_except(list(self.leases.workers), self.now, "not heard of")
        looked = await self.recovery.find_missing(list(self.engine.in_flight))
        self._sweep_at = None
        if not looked:
            self._sweep_soon()

    def _sweep_soon(self) -> None:
        self._sweep_at = self.monotonic + self.leases.lease_seconds / 2

    async def _inspect(self) -> None:
        """Once a lease: who holds work and was not heard of for a lease is as dead as a silent worker.

        What was out a lease ago must be in somebody's hands, whatever happened to it meanwhile. And a stream
        or a group may be gone from a bus that is still the one it was.
        """
        self._inspect_at = self.monotonic + self.leases.lease_seconds
        strangers = await self.recovery.unknown_consumers() or set()
        for worker_id in sorted(strangers & self._unknown):
            await self._remove(worker_id, "never heard of", crashed=True)
        self._unknown = strangers
        self.publisher.forget_groups()
        await self._make_readable()
        await self.recovery.find_missing(sorted(self._in_flight_before))
        self._in_flight_before = set(self.engine.in_flight)

    async def _make_readable(self) -> None:
        """Give all streams of living workers a group: one that is missing keeps them from reading any."""
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(sorted(self.leases.streams))

    async def handle_heartbeat(self, heartbeat: Heartbeat) -> None:
        """A sign of life: the first one of a worker makes it known."""
        with contextlib.suppress(BusUnavailable):
            await self.publisher.ensure_groups(heartbeat.streams)
        if self.leases.renew(heartbeat, self.monotonic):
            logger.info("worker_joined", worker_id=heartbeat.worker_id, roles=heartbeat.roles)
            await self.store.add_worker(
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
        for workflow_id, name in self.recovery.stale_executions(heartbeat):
            # Touched, so that an owner that was replaced recalls nothing of its successor's.
            self.engine.pending.shards.add(shard_of(workflow_id))
            self._recalled.setdefault(heartbeat.worker_id, []).append(name)
        self.engine.window = max(1024, 4 * self.leases.slots)

    async def handle_left(self, left: WorkerLeft) -> None:
        """Its own farewell, or its supervisor's word that it died."""
        await self._remove(left.worker_id, left.reason, crashed=left.reason == "died", logs=left.logs)
        self._republish += [name for name in left.handed_back if name in self.engine.in_flight]

    async def _remove(self, worker_id: str, why: str, *, crashed: bool, logs: str | None = None) -> None:
        """What a dead worker ran is lost, what it had only read goes out again."""
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
            # Their outcomes may have been published and not read yet; what was done must not be done again.
            waiting = tuple(name for name in held if name not in ran)
            self._deaths[self.recovery.gate.ask()] = Death(
                worker_id, tuple(sorted(ran)), waiting, logs, executed_alone(heartbeat, read)
            )

    async def _reclaim(self, worker_id: str, streams: Iterable[str]) -> list[str] | None:
        """The dispatches that a gone worker had read, None when the bus is away."""
        taken = await self.recovery.reclaim(worker_id, streams)
        for delivery in taken.unreadable if taken else ():
            reason = f"it cannot be read, and worker {worker_id} died with it"
            self.engine.pending.dead_letters.append(unreadable(delivery, reason))
        return taken.dispatch_ids if taken else None

    def handle_drained(self, ticket: int) -> None:
        """All outcomes up to the look are in: what is still out is really lost."""
        self._republish += self.recovery.confirm_missing(ticket)
        for asked in [number for number in self._deaths if number <= ticket]:
            death = self._deaths.pop(asked)
            self._republish += filter(self._is_missing, death.waiting)
            for name in filter(self._is_missing, death.executed):
                self._lose(name, death)

    def _is_missing(self, dispatch_id: str) -> bool:
        return dispatch_id in self.engine.in_flight and not self.leases.is_held(dispatch_id)

    def _lose(self, dispatch_id: str, death: Death) -> None:
        """A dispatch died with its worker; its task, when it is given up for that, leaves a dead letter."""
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

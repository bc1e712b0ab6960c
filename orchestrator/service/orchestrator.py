"""The orchestrator process: acquires shards of the workflows, and serves them from term to term."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from contracts.base.errors import StoreUnavailable
from contracts.base.failpoints import failpoint
from contracts.base.identifiers import new_id
from contracts.ports.artifacts import CommitStore
from contracts.ports.bus import MessageBus
from contracts.ports.clock import Clock
from orchestrator.core.sharding import FailureDetector, ShardAssignment
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.outcome_guard import OutcomeGuard
from orchestrator.scheduling.survey import Surveyor
from orchestrator.service.background import BackgroundWork
from orchestrator.service.backlog import Backlog
from orchestrator.service.command_handler import CommandHandler
from orchestrator.service.fleet.recovery import DrainGate, Recovery
from orchestrator.service.fleet.register import WorkerRegister
from orchestrator.service.fleet.request_streams import RequestStreams
from orchestrator.service.fleet.workers import Workers
from orchestrator.service.git_publisher import GitPublisher
from orchestrator.service.health import BusHealth
from orchestrator.service.inbox import InboxMessage, StopAsked
from orchestrator.service.inbox_handler import InboxHandler
from orchestrator.service.membership import Membership
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.offers import Offers, stored_offers
from orchestrator.service.publisher import Publisher
from orchestrator.service.sources import Sources
from orchestrator.service.term import Term
from orchestrator.storage.ownership import OrchestratorEntry
from orchestrator.storage.store import OwnershipLost, Store

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OrchestratorSettings:
    """Settings of one orchestrator."""

    orchestrator_id: str
    """New with every start of a process."""
    lease_seconds: float = 6.0
    """Silence after which a worker, or another orchestrator, is dead; three heartbeats long."""
    gone: frozenset[str] | None = frozenset()
    """Orchestrators that are known to be dead, None for all others: their leases are not waited for."""
    window: int = 1024
    """Dispatches out at once."""
    batch: int = 256
    """Messages handled in one transaction."""


@dataclass(slots=True)
class OrchestratorService:
    """Runs the open workflows of its shards until stopped; the only orchestrator has all shards.

    An outage of the database ends the term: the state is loaded again when the database is back. An outage of
    the bus only delays.
    """

    store: Store
    bus: MessageBus
    artifacts: CommitStore
    settings: OrchestratorSettings
    clock: Clock = field(default_factory=Clock)
    metrics: OrchestratorMetrics = field(default_factory=OrchestratorMetrics)
    new_id: Callable[[], str] = new_id
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _inbox: asyncio.Queue[InboxMessage] | None = None
    """Of the present term."""

    def stop(self) -> None:
        """End `run` after the batch at hand."""
        self.stopping.set()
        if self._inbox is not None:
            with suppress(asyncio.QueueFull):  # then nobody waits for a message
                self._inbox.put_nowait(StopAsked())

    async def run(self) -> None:
        """Acquire shards and serve them, again after every change and outage, until `stop`."""
        members = Membership(
            self.store.ownership,
            OrchestratorEntry(
                self.settings.orchestrator_id, socket.gethostname(), os.getpid(), self.clock.wall()
            ),
            FailureDetector(self.settings.lease_seconds),
            self.clock.monotonic,
        )
        beating = asyncio.create_task(members.run())
        try:
            await self._remove_gone()
            await self._serve_terms(members)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        await members.leave()

    async def _remove_gone(self) -> None:
        """Remove orchestrators that are known to be dead, instead of waiting for their leases."""
        if self.settings.gone == frozenset():
            return
        with suppress(StoreUnavailable):
            await self.store.ownership.remove_gone(self.settings.orchestrator_id, self.settings.gone)

    async def _serve_terms(self, members: Membership) -> None:
        wait = 0.05
        # Kept from term to term: a living worker keeps its lease.
        leases = Leases(self.settings.lease_seconds)
        surveyor = Surveyor()
        while not self.stopping.is_set():
            try:
                assignment = await members.acquire_assignment()
                wait = 0.05
                self.metrics.serves(len(assignment.epochs))
                if assignment.epochs:
                    await self._serve_term(assignment, members, leases, surveyor)
                else:
                    await self._pause(members.renew_seconds)
            except* (StoreUnavailable, OwnershipLost) as group:
                self.metrics.away("database", group.subgroup(StoreUnavailable) is not None)
                logger.warning("term_ended", reason=str(group.exceptions[0]), retry_in_seconds=wait)
                await self._pause(wait)
                wait = min(wait * 2, 2.0)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()

    async def _serve_term(
        self, assignment: ShardAssignment, members: Membership, leases: Leases, surveyor: Surveyor
    ) -> None:
        """Serve from loading the state to the next change of the shards. Raises a group of its errors."""
        engine = Engine(self.new_id, self.settings.window)
        guard = OutcomeGuard(leases)
        publisher = Publisher(self.bus, engine, self.new_id, self.clock.wall, guard.copied.update)
        inbox: asyncio.Queue[InboxMessage] = asyncio.Queue(maxsize=4 * self.settings.batch)
        self._inbox = inbox
        git_publisher = GitPublisher(self.artifacts, inbox, publisher.delivered)
        offers = Offers(self.artifacts, inbox, publisher.delivered)
        gate = DrainGate()
        streams = RequestStreams(self.bus, engine, leases, assignment)
        recovery = Recovery(streams, engine, leases, gate, guard)
        register = WorkerRegister(self.store, leases)
        workers = Workers(engine, leases, publisher, register, self.metrics, recovery)
        command_handler = CommandHandler(engine, self.store, self.bus)
        handlers = InboxHandler(engine, publisher, self.metrics, workers, command_handler)
        busy, idle = await self.store.open_workflow_ids(assignment)
        opened = await self.store.load_open(busy)
        failpoint("orchestrator.after_load")
        for workflow in opened:
            engine.adopt(workflow, self.clock.monotonic())
        backlog = Backlog(self.store, engine, idle)
        outbox = await self.store.load_outbox(assignment)
        git_publisher.add(await handlers.resume(outbox), [])
        offers.add(await stored_offers(outbox, self.store))
        self.metrics.recoveries.inc()
        async with asyncio.TaskGroup() as group:
            sources = Sources(self.bus, self.store, assignment, inbox, self.settings.batch, gate)
            health = BusHealth(self.bus, inbox, members.report_waiting, self.clock.wall, self.metrics)
            running = [*sources.jobs(), git_publisher.run(), offers.run(), health.run()]
            jobs = [group.create_task(job) for job in running]
            background = BackgroundWork(group)
            term = Term(
                self.store,
                assignment,
                inbox,
                handlers,
                git_publisher,
                offers,
                backlog,
                background,
                self.metrics,
                self.clock,
                surveyor,
            )
            self.ready.set()
            while members.still_holds(assignment) and not self.stopping.is_set():
                await term.step(self.settings.batch)
            for job in jobs:
                job.cancel()

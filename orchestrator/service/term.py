"""One term of an orchestrator: messages become batches, which are committed and then published.

Safety rests on the order within a batch: decide, commit, publish, acknowledge. A batch is published while the
next one is decided and committed, but always after the batch before it. Whatever is lost after the commit is
repeated (outbox, resent outcomes, sweep), and repeating it is harmless (I1, I2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from contracts.base.failpoints import failpoint
from contracts.ports.artifacts import RefMove
from contracts.ports.clock import Clock
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import Workflow
from orchestrator.scheduling.batch import Batch
from orchestrator.scheduling.survey import Surveyor
from orchestrator.service.background import BackgroundWork
from orchestrator.service.backlog import Backlog
from orchestrator.service.inbox import InboxMessage
from orchestrator.service.inbox_handler import TICK_SECONDS, InboxHandler
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.offers import Offer

logger = structlog.get_logger(__name__)


class BatchStore(Protocol):
    """Where a batch is committed."""

    async def commit(self, batch: Batch, assignment: ShardAssignment) -> None:
        """Write all of it or nothing. Raises OwnershipLost, or StoreUnavailable when its fate is unknown."""


class GitWork(Protocol):
    """Does the Git work of a batch in the background."""

    def add(self, moves: list[tuple[str, RefMove]], merges: list[Workflow]) -> None:
        """Take on ref moves, each with the name of its outbox entry, and workflows to merge."""


class OfferWork(Protocol):
    """Offers what failed workflows have made, in the background."""

    def add(self, offers: Iterable[Offer]) -> None:
        """Take on workflows that have failed."""


class Inbox(Protocol):
    """What has arrived and was not handled yet, oldest first."""

    async def get(self) -> InboxMessage:
        """The next one, waiting for it."""

    def get_nowait(self) -> InboxMessage:
        """The next one. Raises asyncio.QueueEmpty."""

    def empty(self) -> bool: ...


@dataclass(slots=True)
class Term:
    """Lasts from loading the state to the next change of the shards, or to an outage of the database."""

    store: BatchStore
    assignment: ShardAssignment
    inbox: Inbox
    handlers: InboxHandler
    git_publisher: GitWork
    offers: OfferWork
    backlog: Backlog
    background: BackgroundWork
    metrics: OrchestratorMetrics
    clock: Clock
    surveyor: Surveyor

    async def step(self, most: int) -> None:
        """Handle and commit one batch of up to `most` messages, and begin to publish what follows from it.

        Raises StoreUnavailable and OwnershipLost.
        """
        handlers, engine = self.handlers, self.handlers.engine
        if not self.backlog.empty:
            await self.backlog.read_next(self.clock.monotonic())
        items = await self.gather(most, engine.next_timer() if self.backlog.empty else 0.0)
        handlers.begin(self.clock.wall(), self.clock.monotonic())
        if handlers.inspects_bus(items):
            await self.background.wait_idle()
        for item in items:
            await handlers.handle(item)
        await handlers.tick()
        batch, effects = engine.flush(handlers.now)
        if not batch.empty:
            batch.delivered = handlers.publisher.drain_delivered()
            with self.metrics.commit_seconds.time():
                failpoint("orchestrator.before_commit")
                await self.store.commit(batch, self.assignment)
                failpoint("orchestrator.after_commit")
            self.metrics.committed(batch)
        for dead_letter in batch.dead_letters:
            logger.warning("dead_letter_stored", stream=dead_letter.stream, reason=dead_letter.reason)
        await self.background.start_after_previous(partial(handlers.publish, effects))
        workflows = engine.workflows
        self.git_publisher.add(
            effects.refs, [workflows[name] for name in effects.merges if name in workflows]
        )
        for name in effects.changed:
            self._tell_end(workflows.get(name))
        self.offers.add(Offer(entry, workflows[name]) for entry, name in effects.offers if name in workflows)
        engine.drop_ended(effects.changed)
        self.metrics.in_flight.set(len(engine.in_flight))
        self.metrics.open_workflows.set(len(workflows))
        self.metrics.turn.set(handlers.now)
        if self.surveyor.is_due(handlers.monotonic):
            running = handlers.workers.leases.holdings.is_running
            found = self.surveyor.survey(workflows.values(), running, handlers.now, handlers.monotonic)
            self.metrics.waiting.show(found)

    async def gather(self, most: int, timer: float | None) -> list[InboxMessage]:
        """Return what has arrived, up to `most` messages; waits for the first until the next timer."""
        wait = TICK_SECONDS if timer is None else timer - self.clock.monotonic()
        items: list[InboxMessage] = []
        # Not wait_for: before Python 3.12 it can swallow a cancellation that coincides with a message.
        try:
            async with asyncio.timeout(min(TICK_SECONDS, max(0.0, wait))):
                items.append(await self.inbox.get())
        except TimeoutError:
            return items
        while len(items) < most and not self.inbox.empty():
            items.append(self.inbox.get_nowait())
        return items

    def _tell_end(self, workflow: Workflow | None) -> None:
        """Log and count a workflow that has ended."""
        if workflow is None or not workflow.header.status.terminal:
            return
        header = workflow.header
        seconds = (header.finished_at or header.created_at) - header.created_at
        self.metrics.workflow_seconds.labels(header.status.value).observe(seconds)
        logger.info(
            "workflow_ended",
            workflow_id=header.workflow_id,
            status=header.status.value,
            reason=header.reason,
            tasks=len(workflow.tasks),
            seconds=round(seconds, 1),
        )

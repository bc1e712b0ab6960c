"""Offers what a failed workflow has made, on the branch UNVERIFIED.

An effect that follows the end of the workflow and changes nothing of it: whatever happens here, the workflow
stays as it is, and no other work waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import structlog

from contracts.base.errors import MergeConflict, MultiAgentError, Unavailable
from contracts.base.refs import UNVERIFIED
from contracts.messages.journal import WorkflowOffered
from contracts.ports.artifacts import RefMove
from orchestrator.core.offers import accepted_below, accepted_tips
from orchestrator.core.state import TaskState, Workflow, WorkflowStatus
from orchestrator.scheduling.batch import OutboxEntry, OutboxKind
from orchestrator.service.git_publisher import ResultStore
from orchestrator.service.inbox import Arrivals, OfferMade

logger = structlog.get_logger(__name__)

RETRY_SECONDS = 5.0
_REASON_CHARACTERS = 300


class Offer(NamedTuple):
    """A workflow that has failed, to be offered as it is."""

    entry_id: str
    """Of the outbox."""
    workflow: Workflow


class WorkflowStore(Protocol):
    """Workflows as they were last committed. Raises StoreUnavailable."""

    async def load(self, workflow_id: str) -> Workflow | None: ...


async def stored_offers(entries: Iterable[OutboxEntry], store: WorkflowStore) -> list[Offer]:
    """The offers that an earlier term left in the outbox."""
    found = []
    for entry in entries:
        if entry.kind is OutboxKind.REF and entry.commit is None:
            workflow = await store.load(entry.workflow_id)
            if workflow is not None:
                found.append(Offer(entry.entry_id, workflow))
    return found


class Offers:
    """Makes offers one after the other; of one workflow only the newest."""

    def __init__(self, artifacts: ResultStore, inbox: Arrivals, delivered: list[str]) -> None:
        self._artifacts = artifacts
        self._inbox = inbox
        self._delivered = delivered
        self._waiting: dict[str, Offer] = {}
        self._work = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether none waits."""
        return not self._waiting

    def add(self, offers: Iterable[Offer]) -> None:
        """Add work; it starts at once."""
        for offer in offers:
            if earlier := self._waiting.pop(offer.workflow.header.workflow_id, None):
                self._delivered.append(earlier.entry_id)
            self._waiting[offer.workflow.header.workflow_id] = offer
            self._work.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._waiting:
                if not await self.make_next():
                    await asyncio.sleep(RETRY_SECONDS)

    async def make_next(self) -> bool:
        """Make the offer that has waited longest; False when it must wait for the store, behind others."""
        name = next(iter(self._waiting))
        offer = self._waiting.pop(name)
        try:
            made = await self._make(offer.workflow)
        except (Unavailable, OSError) as error:
            logger.warning("work_not_offered", workflow_id=name, reason=str(error))
            self._waiting.setdefault(name, offer)
            return False
        except MultiAgentError as error:
            # It stays in the outbox: the next term tries again.
            logger.error("work_cannot_be_offered", workflow_id=name, reason=str(error))
            return True
        self._delivered.append(offer.entry_id)
        if made is not None:
            await self._inbox.put(OfferMade(name, made))
        return True

    async def _make(self, workflow: Workflow) -> WorkflowOffered | None:
        header = workflow.header
        tips = accepted_tips(workflow)
        if header.status is not WorkflowStatus.FAILED or not tips:
            return None
        left_out: tuple[str, ...] = ()
        try:
            commit: str | None = await self._merge(workflow, [task.commit for task in tips if task.commit])
        except MergeConflict:
            commit, left_out = await self._merge_what_fits(workflow, tips)
        if commit is None:
            return None
        await self._artifacts.publish([RefMove(header.workflow_id, UNVERIFIED, commit)])
        return WorkflowOffered(commit, left_out)

    async def _merge_what_fits(
        self, workflow: Workflow, tips: list[TaskState]
    ) -> tuple[str | None, tuple[str, ...]]:
        """Merge task by task; one that conflicts is left out, and what it started from is tried."""
        kept: str | None = None
        left_out = []
        waiting = deque(tips)
        seen = {task.task_id for task in tips}
        while waiting:
            task = waiting.popleft()
            try:
                kept = await self._merge(workflow, [one for one in (kept, task.commit) if one])
            except MergeConflict as error:
                left_out.append(f"{task.task_id}: {error}"[:_REASON_CHARACTERS])
                below = [one for one in accepted_below(workflow, task) if one.task_id not in seen]
                seen.update(one.task_id for one in below)
                waiting.extendleft(reversed(below))
        return kept, tuple(left_out)

    async def _merge(self, workflow: Workflow, commits: list[str]) -> str:
        header = workflow.header
        subject = f"Unverified work of {header.workflow_id}"
        return await self._artifacts.merge(commits, subject=subject, created_at=int(header.created_at))

"""The Git side of the orchestrator: moves refs to accepted commits and merges results, off the hot path."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from contracts.base.errors import MultiAgentError, Unavailable
from contracts.base.failpoints import failpoint
from contracts.base.refs import RESULT, UNVERIFIED
from contracts.ports.artifacts import RefMove
from orchestrator.core.events import Merged, MergeFailed
from orchestrator.core.state import Workflow
from orchestrator.service.inbox import Arrivals, MergeDone

logger = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
_AT_ONCE = 32


class ResultStore(Protocol):
    """Where accepted commits become visible; see CommitStore."""

    async def merge(self, parents: Sequence[str], *, subject: str, created_at: int) -> str: ...

    async def publish(self, moves: Sequence[RefMove]) -> None: ...


class GitPublisher:
    """Moves refs in batches, and merges a workflow only after the moves that were added before it."""

    def __init__(self, artifacts: ResultStore, inbox: Arrivals, delivered: list[str]) -> None:
        self._artifacts = artifacts
        self._inbox = inbox
        self._delivered = delivered
        self._moves: list[tuple[str, RefMove]] = []
        self._merges: list[Workflow] = []
        self._work = asyncio.Event()

    def add(self, moves: list[tuple[str, RefMove]], merges: list[Workflow]) -> None:
        """Add work; it starts at once."""
        if moves or merges:
            self._moves += moves
            self._merges += merges
            self._work.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._moves or self._merges:
                if self._moves:
                    await self._move()
                else:
                    # The store writes and publishes together what is requested together.
                    some, self._merges = self._merges[:_AT_ONCE], self._merges[_AT_ONCE:]
                    await asyncio.gather(*map(self._merge, some))

    async def _move(self) -> None:
        batch, self._moves = self._moves, []
        try:
            await self._publish(batch)
        except (Unavailable, OSError) as error:
            await self._retry_later(batch, error)
        except MultiAgentError:
            # One bad move must not block the others: they are made one by one, and bad ones are skipped.
            for move in batch:
                await self._move_alone(move)

    async def _move_alone(self, move: tuple[str, RefMove]) -> None:
        try:
            await self._publish([move])
        except (Unavailable, OSError) as error:
            await self._retry_later([move], error)
        except MultiAgentError as error:
            # It stays in the outbox: the next term tries again.
            logger.error("ref_cannot_be_moved", entry=move[0], task_id=move[1].task_id, reason=str(error))

    async def _publish(self, batch: list[tuple[str, RefMove]]) -> None:
        failpoint("git_publisher.before_refs")
        await self._artifacts.publish([move for _, move in batch])
        failpoint("git_publisher.after_refs")
        self._delivered += [entry_id for entry_id, _ in batch]

    async def _retry_later(self, batch: list[tuple[str, RefMove]], error: Exception) -> None:
        logger.warning("refs_not_moved", reason=str(error), count=len(batch))
        self._moves = batch + self._moves
        await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(RETRY_SECONDS)

    async def _merge(self, workflow: Workflow) -> None:
        header = workflow.header
        heads = tuple(dict.fromkeys(head for task in workflow.sinks() for head in task.heads))
        event: Merged | MergeFailed
        try:
            failpoint("git_publisher.before_merge")
            commit = await self._artifacts.merge(
                heads, subject=f"Result of {header.workflow_id}", created_at=int(header.created_at)
            )
            moves = [RefMove(header.workflow_id, RESULT, commit)]
            if UNVERIFIED not in workflow.tasks:
                moves.append(RefMove(header.workflow_id, UNVERIFIED, None))
            await self._artifacts.publish(moves)
            failpoint("git_publisher.after_merge")
            event = Merged(commit)
        except (Unavailable, OSError) as error:
            logger.warning("result_not_merged", workflow_id=header.workflow_id, reason=str(error))
            self._merges.append(workflow)
            await self._pause()
            return
        except MultiAgentError as error:
            event = MergeFailed(str(error))
        await self._inbox.put(MergeDone(header.workflow_id, event))

"""The Git side of an owner: moves the refs of accepted commits and merges outcomes, off the hot path."""

from __future__ import annotations

import asyncio

import structlog

from contracts.errors import ArtifactError, MergeConflict, Unavailable
from contracts.ports import ArtifactStore, RefMove
from orchestrator.arrivals import Arrival, MergeDone
from orchestrator.inputs import Merged, MergeFailed
from orchestrator.state import Workflow

log = structlog.get_logger("orchestrator.keeper")

RETRY_SECONDS = 1.0
MERGE_ATTEMPTS = 5


class Keeper:
    """Works off ref moves in batches, and merges a workflow only after the moves before it."""

    def __init__(self, artifacts: ArtifactStore, inbox: asyncio.Queue[Arrival], settled: list[str]) -> None:
        self._artifacts = artifacts
        self._inbox = inbox
        self._settled = settled
        self._moves: list[tuple[str, RefMove]] = []
        self._merges: list[Workflow] = []
        self._work = asyncio.Event()

    def add(self, moves: list[tuple[str, RefMove]], merges: list[Workflow]) -> None:
        """Take on work; it starts at once."""
        if moves or merges:
            self._moves += moves
            self._merges += merges
            self._work.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._moves:
                await self._move()
            while self._merges:
                await self._merge(self._merges.pop(0))

    async def _move(self) -> None:
        batch, self._moves = self._moves, []
        try:
            await self._artifacts.publish([move for _, move in batch])
            self._settled += [entry_id for entry_id, _ in batch]
        except (ArtifactError, Unavailable) as error:
            log.warning("refs_not_moved", reason=str(error), count=len(batch))
            self._moves = batch + self._moves
            await asyncio.sleep(RETRY_SECONDS)

    async def _merge(self, workflow: Workflow) -> None:
        header = workflow.header
        heads = tuple(dict.fromkeys(head for task in workflow.sinks() for head in task.heads))
        given: Merged | MergeFailed | None = None
        for attempt in range(1, MERGE_ATTEMPTS + 1):
            try:
                commit = await self._artifacts.merge(
                    heads, subject=f"Result of {header.workflow_id}", created_at=int(header.created_at)
                )
                await self._artifacts.publish([RefMove(header.workflow_id, "result", commit)])
                given = Merged(commit)
            except (ArtifactError, Unavailable) as error:
                log.warning("result_not_merged", workflow_id=header.workflow_id, reason=str(error))
                if isinstance(error, MergeConflict) or attempt == MERGE_ATTEMPTS:
                    given = MergeFailed(str(error))
            if given is not None:
                return await self._inbox.put(MergeDone(header.workflow_id, given))
            await asyncio.sleep(RETRY_SECONDS)
        return None

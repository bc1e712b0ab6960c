"""What the owner writes: one transaction a batch, fenced by the epoch of the shards it touches (I2, I3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, exists, or_, select, update

from contracts.base.errors import MultiAgentError
from contracts.base.failpoints import failpoint
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.batch import Batch, Command, OutboxEntry
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.storage import tables as t
from orchestrator.storage.dead_letters import read_dead_letter
from orchestrator.storage.loading import read_workflow, read_workflows
from orchestrator.storage.outbox import OutboxRows, grouped_rows, read_outbox
from orchestrator.storage.ownership import OwnershipStore
from orchestrator.storage.sql.database import Database, sqlite_driver, upsert
from orchestrator.storage.sql.pipelining import ConditionFailed, commit_in_pipeline, pipelined_block, require
from orchestrator.storage.writing import write_dead_letters, write_outbox, write_rows

_OPEN = [status.value for status in WorkflowStatus if not status.terminal]
COMMANDS = 256
_LOST = "another orchestrator has taken over"
_ALL_HELD = """
    SELECT count(*) = %s FROM (
        SELECT 1 FROM shards JOIN unnest(%s::int[], %s::bigint[]) AS held (shard, epoch) USING (shard, epoch)
        ORDER BY shard FOR UPDATE OF shards
    ) AS locked
"""


class OwnershipLost(MultiAgentError):
    """Another orchestrator holds the shards now; nothing of the batch was written."""


class Store:
    """The owner's side of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._parcels = OutboxRows()
        self.ownership = OwnershipStore(database)

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()

    async def commit(self, batch: Batch, assignment: ShardAssignment) -> None:
        """Write the batch. Raises OwnershipLost, or StoreUnavailable when its fate is unknown."""

        parcels = grouped_rows(batch.outbox)
        struck = self._parcels.struck(batch.settled)

        def body(connection: Connection) -> None:
            with pipelined_block(connection):
                _fence(connection, batch.shards, assignment)
                write_rows(connection, batch)
                write_outbox(connection, parcels, struck)
                failpoint("orchestrator.in_commit")
                if not batch.concerns_dead_letters:
                    commit_in_pipeline(connection)
            if batch.concerns_dead_letters:
                write_dead_letters(connection, batch)

        try:
            await self._database.write(body)
        except ConditionFailed:
            raise OwnershipLost(_LOST) from None
        self._parcels.keep(parcels)

    async def open_names(self, assignment: ShardAssignment) -> tuple[list[str], list[str]]:
        """The open workflows of these shards, oldest first: those in which a task is out or the outcome is
        being merged, and those that can wait."""
        w = t.workflows.c
        mine = w.status.in_(_OPEN), w.shard.in_(assignment.epochs)
        out = exists().where(
            t.tasks.c.workflow_id == w.workflow_id, t.tasks.c.status == TaskStatus.DISPATCHED.value
        )
        busy = case((w.status == WorkflowStatus.MERGING.value, True), else_=out)
        query = select(w.workflow_id, busy).where(*mine).order_by(w.created_at, w.workflow_id)

        def body(connection: Connection) -> tuple[list[str], list[str]]:
            rows = connection.execute(query).all()
            return [row[0] for row in rows if row[1]], [row[0] for row in rows if not row[1]]

        return await self._database.read(body)

    async def load_open(self, names: Sequence[str]) -> list[Workflow]:
        """Those of these workflows that have not ended."""

        def body(connection: Connection) -> list[Workflow]:
            return list(read_workflows(connection, names, t.workflows.c.status.in_(_OPEN)))

        return await self._database.read(body)

    async def load(self, workflow_id: str) -> Workflow | None:
        """One workflow as it was last committed."""
        return await self._database.read(lambda connection: read_workflow(connection, workflow_id))

    async def outbox(self, assignment: ShardAssignment) -> list[OutboxEntry]:
        """Effects of these shards that may have to be repeated, as a session begins."""
        mine = [
            parcel
            for parcel in await self._database.read(read_outbox)
            if assignment.has(parcel[0].workflow_id)
        ]
        self._parcels.forget()
        self._parcels.keep(mine)
        return [entry for parcel in mine for entry in parcel]

    async def waiting_commands(self, assignment: ShardAssignment, limit: int = COMMANDS) -> list[Command]:
        """Commands for these shards that nobody applied yet, oldest first."""
        c = t.commands.c
        workflow = t.workflows.c.workflow_id
        query = (
            select(c.command_id, c.kind, c.workflow_id, c.body, workflow.is_not(None))
            .outerjoin(t.workflows, workflow == c.workflow_id)
            .where(c.applied_at.is_(None), or_(c.shard.in_(assignment.epochs), c.shard.is_(None)))
            .order_by(c.created_at, c.command_id)
            .limit(limit)
        )

        def body(connection: Connection) -> list[Command]:
            found = [Command(*row) for row in connection.execute(query)]
            # A client of the first revision names no shard.
            return [command for command in found if assignment.has(command.workflow_id)]

        return await self._database.read(body)

    async def letter(self, dead_letter_id: int) -> StoredDeadLetter | None:
        """One dead letter."""
        return await self._database.read(lambda connection: read_dead_letter(connection, dead_letter_id))

    async def worker_joined(self, row: dict[str, Any]) -> None:
        """Note a worker for people to see. Every owner does."""
        changes = {**row, "left_at": None, "left_why": None}
        await self._database.write(lambda connection: upsert(connection, t.workers, row, changes))

    async def workers_left_but(self, living: Iterable[str], at: float, why: str) -> None:
        """Note that every worker except these is gone."""
        await self._leave(t.workers.c.worker_id.not_in(list(living)), at, why)

    async def workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None:
        """Note that workers are gone."""
        await self._leave(t.workers.c.worker_id.in_(list(worker_ids)), at, why)

    async def _leave(self, which: ColumnElement[bool], at: float, why: str) -> None:
        c = t.workers.c
        # Locked in order: several owners may note the same deaths at the same moment.
        gone = select(c.worker_id).where(which, c.left_at.is_(None)).order_by(c.worker_id).with_for_update()

        def body(connection: Connection) -> None:
            ids = list(connection.execute(gone).scalars())
            connection.execute(update(t.workers).where(c.worker_id.in_(ids)).values(left_at=at, left_why=why))

        await self._database.write(body)


def _fence(connection: Connection, touched: set[int], assignment: ShardAssignment) -> None:
    """Lock the touched shards' rows; a shard whose epoch moved on belongs to somebody else."""
    if not touched:
        return
    if driver := sqlite_driver(connection):
        # The transaction locks the whole file.
        if any(assignment.epochs.get(shard) != epoch for shard, epoch in _epochs(driver, touched)):
            raise OwnershipLost(_LOST)
    else:
        held = [assignment.epochs.get(shard, -1) for shard in touched]
        require(connection, _ALL_HELD, (len(touched), _array(touched), _array(held)))


def _epochs(driver: sqlite3.Connection, shards: set[int]) -> list[tuple[int, int]]:
    if len(shards) == 1:
        return driver.execute("SELECT shard, epoch FROM shards WHERE shard = ?", (*shards,)).fetchall()
    every = driver.execute("SELECT shard, epoch FROM shards").fetchall()
    return [row for row in every if row[0] in shards]


def _array(numbers: Iterable[int]) -> str:
    """As PostgreSQL writes it; the driver takes ten times as long."""
    return f"{{{','.join(map(str, numbers))}}}"

"""What the orchestrator writes: one transaction a batch, fenced by the epochs of its shards (I2, I3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from sqlalchemy import ColumnElement, Connection, case, exists, or_, select, update

from contracts.base.errors import MultiAgentError
from contracts.base.failpoints import failpoint
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import TaskStatus, Workflow, WorkflowStatus
from orchestrator.scheduling.batch import Batch, Command, OutboxEntry
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.storage import tables as t
from orchestrator.storage.audit.log import append_audit
from orchestrator.storage.dead_letters import read_dead_letter
from orchestrator.storage.loading import read_workflow, read_workflows
from orchestrator.storage.outbox import OutboxRows, group_rows, read_outbox
from orchestrator.storage.ownership import OwnershipStore
from orchestrator.storage.queries import WorkerView
from orchestrator.storage.sql.database import Database, upsert
from orchestrator.storage.sql.pipelining import commit_in_pipeline, pipelined_block, require
from orchestrator.storage.sql.transactions import ConditionFailed, sqlite_driver
from orchestrator.storage.writing import write_dead_letters, write_outbox, write_rows

_OPEN = [status.value for status in WorkflowStatus if not status.terminal]
COMMANDS = 256
"""The most commands that are read at once."""
_LOST = "another orchestrator has taken over"
_ALL_HELD = """
    SELECT count(*) = %s FROM (
        SELECT 1 FROM shards JOIN unnest(%s::int[], %s::bigint[]) AS held (shard, epoch) USING (shard, epoch)
        ORDER BY shard FOR UPDATE OF shards
    ) AS locked
"""


class OwnershipLost(MultiAgentError):
    """Another orchestrator owns the shards now; nothing of the batch was written."""


class Store:
    """The orchestrator's side of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._outbox_rows = OutboxRows()
        self.ownership = OwnershipStore(database)

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()

    async def commit(self, batch: Batch, assignment: ShardAssignment) -> None:
        """Write the batch.

        Raises OwnershipLost when nothing was written, StoreUnavailable when that is unknown.
        """
        rows = group_rows(batch.outbox)
        finished = self._outbox_rows.complete(batch.delivered)

        def body(connection: Connection) -> None:
            with pipelined_block(connection):
                _fence(connection, batch.shards, assignment)
                write_rows(connection, batch)
                write_outbox(connection, rows, finished)
                failpoint("orchestrator.in_commit")
                if not batch.needs_answers:
                    commit_in_pipeline(connection)
            append_audit(connection, batch.audit, batch.now)
            if batch.concerns_dead_letters:
                write_dead_letters(connection, batch)

        try:
            await self._database.write(body)
        except ConditionFailed:
            raise OwnershipLost(_LOST) from None
        self._outbox_rows.add(rows)

    async def open_workflow_ids(self, assignment: ShardAssignment) -> tuple[list[str], list[str]]:
        """The open workflows of these shards, oldest first, as two lists of ids.

        The first holds those that are merging or have dispatched tasks, the second those that can wait.
        """
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
        """Load those of these workflows that have not ended."""

        def body(connection: Connection) -> list[Workflow]:
            return list(read_workflows(connection, names, t.workflows.c.status.in_(_OPEN)))

        return await self._database.read(body)

    async def load(self, workflow_id: str) -> Workflow | None:
        """Load one workflow as it was last committed."""
        return await self._database.read(lambda connection: read_workflow(connection, workflow_id))

    async def load_outbox(self, assignment: ShardAssignment) -> list[OutboxEntry]:
        """Load the outbox entries of these shards as a term begins: their effects may have to be repeated."""
        rows = await self._database.read(read_outbox)
        mine = [entries for entries in rows if assignment.has(entries[0].workflow_id)]
        self._outbox_rows.clear()
        self._outbox_rows.add(mine)
        return [entry for entries in mine for entry in entries]

    async def waiting_commands(self, assignment: ShardAssignment, limit: int = COMMANDS) -> list[Command]:
        """The commands for these shards that were not applied yet, oldest first."""
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

    async def dead_letter(self, dead_letter_id: int) -> StoredDeadLetter | None:
        """Read one dead letter; None when there is none with this id."""
        return await self._database.read(lambda connection: read_dead_letter(connection, dead_letter_id))

    async def add_worker(self, worker: WorkerView) -> None:
        """Store a worker for people to see. Every orchestrator does."""
        row = asdict(worker)
        changes = {**row, "left_at": None, "left_why": None}
        await self._database.write(lambda connection: upsert(connection, t.workers, row, changes))

    async def mark_workers_left_except(self, living: Iterable[str], at: float, why: str) -> None:
        """Mark every worker except these as gone."""
        await self._mark_left(t.workers.c.worker_id.not_in(list(living)), at, why)

    async def mark_workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None:
        """Mark workers as gone."""
        await self._mark_left(t.workers.c.worker_id.in_(list(worker_ids)), at, why)

    async def _mark_left(self, which: ColumnElement[bool], at: float, why: str) -> None:
        c = t.workers.c
        # Locked in order: several orchestrators may mark the same workers at the same moment.
        gone = select(c.worker_id).where(which, c.left_at.is_(None)).order_by(c.worker_id).with_for_update()

        def body(connection: Connection) -> None:
            ids = list(connection.execute(gone).scalars())
            connection.execute(update(t.workers).where(c.worker_id.in_(ids)).values(left_at=at, left_why=why))

        await self._database.write(body)


def _fence(connection: Connection, touched: set[int], assignment: ShardAssignment) -> None:
    """Lock the rows of the touched shards. Raises OwnershipLost when one has another epoch."""
    if not touched:
        return
    if driver := sqlite_driver(connection):
        # The transaction has locked the whole file.
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
    """An array as PostgreSQL writes it; the driver needs ten times as long."""
    return f"{{{','.join(map(str, numbers))}}}"

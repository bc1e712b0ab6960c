"""What the owner writes: one transaction a batch, fenced by the epoch of the shards it touches (I2, I3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from contracts.errors import MultiAgentError
from orchestrator import tables as t
from orchestrator.batch import Batch, Command, OutboxEntry, write_batch
from orchestrator.database import Database
from orchestrator.letters import StoredLetter, read_letter
from orchestrator.records import read_header, read_task
from orchestrator.state import TaskState, Workflow, WorkflowStatus


class OwnershipLost(MultiAgentError):
    """Another orchestrator holds the shards now; nothing of the batch was written."""


class Store:
    """The owner's side of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()

    async def renewals(self) -> tuple[int, bool]:
        """A number that stands still when no owner lives, and whether the shards are free."""

        def body(connection: Connection) -> tuple[int, bool]:
            row = connection.execute(
                select(func.sum(t.shards.c.renewals), func.count(t.shards.c.owner))
            ).one()
            return int(row[0] or 0), row[1] == 0

        return await self._database.read(body)

    async def claim(self, owner: str) -> int:
        """Take all shards. The epoch that comes back fences every earlier owner."""

        def body(connection: Connection) -> int:
            # Locked first: two that claim at once must not compute the same epoch.
            locked = select(t.shards.c.epoch).order_by(t.shards.c.shard).with_for_update()
            epoch: int = max(connection.execute(locked).scalars()) + 1
            connection.execute(update(t.shards).values(owner=owner, epoch=epoch))
            return epoch

        return await self._database.write(body, durable=True)

    async def renew(self, epoch: int) -> None:
        """Show that the owner lives. Raises OwnershipLost.

        One row speaks for all, since one owner takes all: locking them in another order than a commit does
        would deadlock with it.
        """

        def body(connection: Connection) -> int:
            return connection.execute(
                update(t.shards)
                .where(t.shards.c.shard == 0, t.shards.c.epoch == epoch)
                .values(renewals=t.shards.c.renewals + 1)
            ).rowcount

        if await self._database.write(body) == 0:
            raise OwnershipLost("another orchestrator has taken over")

    async def release(self, epoch: int) -> None:
        """Let another owner take over at once."""

        def body(connection: Connection) -> None:
            connection.execute(update(t.shards).where(t.shards.c.epoch == epoch).values(owner=None))

        await self._database.write(body)

    async def commit(self, batch: Batch, epoch: int) -> None:
        """Write the batch. Raises OwnershipLost, or StoreUnavailable when its fate is unknown."""

        def body(connection: Connection) -> None:
            _fence(connection, batch.shards, epoch)
            write_batch(connection, batch)

        await self._database.write(body, durable=batch.durable)

    async def load_open(self) -> list[Workflow]:
        """Every workflow that has not ended."""
        open_states = [status.value for status in WorkflowStatus if not status.terminal]

        def body(connection: Connection) -> list[Workflow]:
            chosen = select(t.workflows.c.workflow_id).where(t.workflows.c.status.in_(open_states))
            return _load(connection, t.workflows.c.workflow_id.in_(chosen), t.tasks.c.workflow_id.in_(chosen))

        return await self._database.read(body)

    async def load(self, workflow_id: str) -> Workflow | None:
        """One workflow as it was last committed."""

        def body(connection: Connection) -> Workflow | None:
            found = _load(
                connection,
                t.workflows.c.workflow_id == workflow_id,
                t.tasks.c.workflow_id == workflow_id,
            )
            return found[0] if found else None

        return await self._database.read(body)

    async def outbox(self) -> list[OutboxEntry]:
        """Effects whose publication was not marked."""

        def body(connection: Connection) -> list[OutboxEntry]:
            return [OutboxEntry(*row) for row in connection.execute(select(t.outbox))]

        return await self._database.read(body)

    async def waiting_commands(self, limit: int = 256) -> list[Command]:
        """Commands that nobody applied yet, oldest first."""
        c = t.commands.c
        query = (
            select(c.command_id, c.kind, c.workflow_id, c.body)
            .where(c.applied_at.is_(None))
            .order_by(c.created_at, c.command_id)
            .limit(limit)
        )

        def body(connection: Connection) -> list[Command]:
            return [Command(*row) for row in connection.execute(query)]

        return await self._database.read(body)

    async def letter(self, dead_letter_id: int) -> StoredLetter | None:
        """One dead letter."""
        return await self._database.read(lambda connection: read_letter(connection, dead_letter_id))

    async def worker_joined(self, row: dict[str, Any]) -> None:
        """Note a worker for people to see."""

        def body(connection: Connection) -> None:
            connection.execute(delete(t.workers).where(t.workers.c.worker_id == row["worker_id"]))
            connection.execute(insert(t.workers).values(**row))

        await self._database.write(body)

    async def workers_left_but(self, living: Iterable[str], at: float, why: str) -> None:
        """Note that every worker except these is gone."""
        c = t.workers.c
        gone = update(t.workers).where(c.left_at.is_(None), c.worker_id.not_in(list(living)))

        def body(connection: Connection) -> None:
            connection.execute(gone.values(left_at=at, left_why=why))

        await self._database.write(body)

    async def workers_left(self, worker_ids: Iterable[str], at: float, why: str) -> None:
        """Note that workers are gone."""
        ids = list(worker_ids)

        def body(connection: Connection) -> None:
            connection.execute(
                update(t.workers)
                .where(t.workers.c.worker_id.in_(ids), t.workers.c.left_at.is_(None))
                .values(left_at=at, left_why=why)
            )

        await self._database.write(body)


def _fence(connection: Connection, touched: set[int], epoch: int) -> None:
    """Lock the touched shards' rows; a shard whose epoch moved on belongs to somebody else."""
    if not touched:
        return
    held = connection.execute(
        select(t.shards.c.shard)
        .where(t.shards.c.shard.in_(sorted(touched)), t.shards.c.epoch == epoch)
        .order_by(t.shards.c.shard)
        .with_for_update()
    ).all()
    if len(held) != len(touched):
        raise OwnershipLost("another orchestrator has taken over")


def _load(connection: Connection, which_workflows: Any, which_tasks: Any) -> list[Workflow]:
    tasks: dict[str, list[TaskState]] = {}
    query = select(t.tasks).where(which_tasks).order_by(t.tasks.c.workflow_id, t.tasks.c.position)
    for row in connection.execute(query).mappings():
        tasks.setdefault(row["workflow_id"], []).append(read_task(row))
    headers = connection.execute(select(t.workflows).where(which_workflows)).mappings()
    return [Workflow.load(header, tasks[header.workflow_id]) for header in map(read_header, headers)]

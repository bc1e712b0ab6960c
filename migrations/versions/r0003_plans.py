"""Stores the definitions of tasks once per workflow instead of in every row of a task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PLANS = sa.table("plans", sa.column("workflow_id"), sa.column("size"), sa.column("definitions"))
_UNTOUCHED = {
    "cycle": 0,
    "attempt": 0,
    "failures": 0,
    "crashes": 0,
    "outages": 0,
    "suspect": False,
    "dispatched_at": 0.0,
    "not_before": 0.0,
    "parents": [],
    "outcome": "{}",
}


def upgrade() -> None:
    """Only add a table and a column. Existing workflows keep their definitions in the rows of their tasks.

    Orchestrators of earlier releases must be stopped first: they cannot find the definitions of tasks that
    are submitted later.
    """
    op.create_table(
        "plans",
        sa.Column("workflow_id", sa.String(100), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("definitions", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", name="pk_plans"),
    )
    op.add_column("outbox", sa.Column("entries", sa.Text))


def downgrade() -> None:
    """Give every task its own row with definition and state, and every effect its own row in the outbox."""
    connection = op.get_bind()
    _unpack(connection)
    tasks = sa.Table("tasks", sa.MetaData(), autoload_with=connection)
    plans = connection.execute(sa.select(_PLANS.c.workflow_id, _PLANS.c.definitions)).all()
    for workflow_id, definitions in plans:
        mine = tasks.c.workflow_id == workflow_id
        rows = {row["task_id"]: row for row in connection.execute(sa.select(tasks).where(mine)).mappings()}
        _restore(connection, tasks, workflow_id, json.loads(definitions), rows)
    op.drop_table("plans")
    with op.batch_alter_table("outbox") as table:
        table.drop_column("entries")


def _unpack(connection: sa.Connection) -> None:
    outbox = sa.Table("outbox", sa.MetaData(), autoload_with=connection)
    columns = ("entry_id", "kind", "workflow_id", "task_id", "commit_name")
    several = outbox.c.entries.is_not(None)
    for text in connection.execute(sa.select(outbox.c.entries).where(several)).scalars().all():
        rows = [dict(zip(columns, entry, strict=True)) for entry in json.loads(text)]
        connection.execute(sa.insert(outbox), rows)
    connection.execute(sa.delete(outbox).where(several))


def _restore(
    connection: sa.Connection,
    tasks: sa.Table,
    workflow_id: str,
    items: Iterable[Mapping[str, Any]],
    rows: Mapping[str, sa.RowMapping],
) -> None:
    succeeded = {name for name, row in rows.items() if row["status"] == "succeeded"}
    added = sorted((row for row in rows.values() if row["item"]), key=lambda row: row["position"])
    for position, item in enumerate((*items, *(json.loads(row["item"]) for row in added))):
        key = {"workflow_id": workflow_id, "task_id": item["task_id"]}
        row = rows.get(item["task_id"])
        status = row["status"] if row else "waiting"
        needed = row["dependencies"] if row else item.get("dependencies", [])
        if status == "waiting" and succeeded.issuperset(needed):
            status = "waiting_approval" if item.get("requires_approval") else "ready"
        state = {"status": status, "item": json.dumps(item), "position": position}
        if row is None:
            new = {**_UNTOUCHED, **key, **state, "dependencies": needed}
            connection.execute(sa.insert(tasks).values(new))
        else:
            which = (tasks.c[column] == value for column, value in key.items())
            connection.execute(sa.update(tasks).where(*which).values(state))

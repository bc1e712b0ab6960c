"""Creates the first tables and the rows of the shards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SHARDS = 64


def _name() -> sa.String:
    return sa.String(100)


def upgrade() -> None:
    """Create all tables."""
    serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    shards = op.create_table(
        "shards",
        sa.Column("shard", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_shards"),
    )
    op.bulk_insert(shards, [{"shard": n, "owner": None, "epoch": 0, "renewals": 0} for n in range(SHARDS)])
    op.create_table(
        "workflows",
        sa.Column("workflow_id", _name(), nullable=False),
        sa.Column("todo_list_id", _name(), nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("base_commit", sa.String(40)),
        sa.Column("result_commit", sa.String(40)),
        sa.Column("open_tasks", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.PrimaryKeyConstraint("workflow_id", name="pk_workflows"),
    )
    op.create_index("ix_workflows_status_shard", "workflows", ["status", "shard"])
    op.create_index("ix_workflows_created_at", "workflows", ["created_at"])
    op.create_table(
        "tasks",
        sa.Column("workflow_id", _name(), nullable=False),
        sa.Column("task_id", _name(), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("item", sa.Text, nullable=False),
        sa.Column("dependencies", sa.JSON, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("crashes", sa.Integer, nullable=False),
        sa.Column("dispatch_id", _name()),
        sa.Column("dispatched_at", sa.Double, nullable=False),
        sa.Column("not_before", sa.Double, nullable=False),
        sa.Column("parents", sa.JSON, nullable=False),
        sa.Column("approved_hash", sa.String(64)),
        sa.Column("commit_name", sa.String(40)),
        sa.Column("verdict", sa.String(10)),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "task_id", name="pk_tasks"),
    )
    op.create_table(
        "journal",
        sa.Column("sequence", serial, autoincrement=True, nullable=False),
        sa.Column("workflow_id", _name(), nullable=False),
        sa.Column("task_id", _name()),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_journal"),
    )
    op.create_index("ix_journal_workflow_id_sequence", "journal", ["workflow_id", "sequence"])
    op.create_table(
        "outbox",
        sa.Column("entry_id", _name(), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("workflow_id", _name(), nullable=False),
        sa.Column("task_id", _name(), nullable=False),
        sa.Column("commit_name", sa.String(40)),
        sa.PrimaryKeyConstraint("entry_id", name="pk_outbox"),
    )
    op.create_table(
        "commands",
        sa.Column("command_id", _name(), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("workflow_id", _name(), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("applied_at", sa.Double),
        sa.Column("answer", sa.Text),
        sa.PrimaryKeyConstraint("command_id", name="pk_commands"),
    )
    op.create_index("ix_commands_applied_at_created_at", "commands", ["applied_at", "created_at"])
    op.create_table(
        "workers",
        sa.Column("worker_id", _name(), nullable=False),
        sa.Column("host", sa.String(300), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("roles", sa.JSON, nullable=False),
        sa.Column("streams", sa.JSON, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("joined_at", sa.Double, nullable=False),
        sa.Column("left_at", sa.Double),
        sa.Column("left_why", sa.String(200)),
        sa.PrimaryKeyConstraint("worker_id", name="pk_workers"),
    )
    op.create_table(
        "dead_letters",
        sa.Column("dead_letter_id", serial, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("stream", sa.String(250), nullable=False),
        sa.Column("workflow_id", _name()),
        sa.Column("task_id", _name()),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("dead_letter_id", name="pk_dead_letters"),
    )


def downgrade() -> None:
    """Drop all tables."""
    for table in (
        "dead_letters",
        "workers",
        "commands",
        "outbox",
        "journal",
        "tasks",
        "workflows",
        "shards",
    ):
        op.drop_table(table)

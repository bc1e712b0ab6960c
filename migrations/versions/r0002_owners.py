"""Adds several orchestrators, counts of outages, suspect tasks, and dead letters that can be resolved."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only add tables and columns, so that the previous release keeps working."""
    op.create_table(
        "owners",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("host", sa.String(300), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", name="pk_owners"),
    )
    op.add_column("tasks", sa.Column("outages", sa.Integer, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("suspect", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("commands", sa.Column("shard", sa.Integer))
    op.add_column("dead_letters", sa.Column("origin", sa.String(200)))
    op.create_index("ix_dead_letters_origin", "dead_letters", ["origin"], unique=True)
    op.add_column("dead_letters", sa.Column("logs", sa.Text))
    op.add_column("dead_letters", sa.Column("resolved_at", sa.Double))
    op.add_column("dead_letters", sa.Column("resolution", sa.String(20)))


def downgrade() -> None:
    """Drop what was added."""
    op.drop_index("ix_dead_letters_origin", "dead_letters")
    with op.batch_alter_table("dead_letters") as table:
        for name in ("resolution", "resolved_at", "logs", "origin"):
            table.drop_column(name)
    with op.batch_alter_table("commands") as table:
        table.drop_column("shard")
    with op.batch_alter_table("tasks") as table:
        for name in ("suspect", "outages"):
            table.drop_column(name)
    op.drop_table("owners")

"""Adds the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. The release before appends nothing to them, and goes on without them."""
    op.create_table(
        "audit",
        sa.Column("chain", sa.String(20), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("workflow_id", sa.String(100), nullable=True),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("chain", "number", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_workflow_id", "audit", ["workflow_id"])
    op.create_table(
        "audit_heads",
        sa.Column("chain", sa.String(20), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_audit_heads"),
    )


def downgrade() -> None:
    """Drop the tables. What they say is lost: export it before."""
    op.drop_table("audit_heads")
    op.drop_table("audit")

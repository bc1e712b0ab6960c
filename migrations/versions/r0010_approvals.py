"""Adds what a person must allow first: in a workflow, and when its work is released."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; for what runs already the plan alone says it. The release before goes on without it."""
    op.add_column("workflows", sa.Column("approvals", sa.Text(), nullable=True))
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "release_approvals",
        sa.Column("number", serial, primary_key=True, autoincrement=True),
        sa.Column("action_hash", sa.String(64), nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.Column("workflow_id", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("rule", sa.String(100), nullable=False),
        sa.Column("risk", sa.String(10), nullable=False),
        sa.Column("hours", sa.Double(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.Double(), nullable=True),
        sa.Column("until", sa.Double(), nullable=True),
        sa.Column("used_by", sa.String(100), nullable=True),
    )
    for columns in (("base_hash",), ("workflow_id", "kind")):
        op.create_index(f"ix_release_approvals_{'_'.join(columns)}", "release_approvals", list(columns))
    op.create_index("ix_release_approvals_action_hash", "release_approvals", ["action_hash"], unique=True)


def downgrade() -> None:
    """Drop the column. What waits for approval by a policy is no longer held back."""
    op.drop_table("release_approvals")
    op.drop_column("workflows", "approvals")

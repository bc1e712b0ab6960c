"""Adds what a person must allow first in a workflow."""

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


def downgrade() -> None:
    """Drop the column. What waits for approval by a policy is no longer held back."""
    op.drop_column("workflows", "approvals")

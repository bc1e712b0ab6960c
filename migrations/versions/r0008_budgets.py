"""Adds what a workflow may spend."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing limits what runs already. The release before goes on without it."""
    op.add_column("workflows", sa.Column("budget", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop the column. A task that waits for its budget must be cancelled before."""
    op.drop_column("workflows", "budget")

"""Adds whether the agents of a workflow may ask a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nobody is asked in what runs already. The release before goes on without it."""
    column: sa.Column[bool] = sa.Column("questions", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("workflows", column)


def downgrade() -> None:
    """Drop the column. A task that waits for an answer must be answered or cancelled before."""
    op.drop_column("workflows", "questions")

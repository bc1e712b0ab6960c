"""Adds what a repository says about work in it to its workflows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column. Processes of the release before go on without it."""
    op.add_column("workflows", sa.Column("repository", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop the column; what runs loses the settings."""
    op.drop_column("workflows", "repository")

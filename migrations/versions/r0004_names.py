"""Renames the table `owners` to `orchestrators`."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only rename. Orchestrators of earlier releases must be stopped first: they use the old names."""
    op.alter_column("owners", "owner_id", new_column_name="orchestrator_id")
    op.rename_table("owners", "orchestrators")


def downgrade() -> None:
    """Restore the old names."""
    op.rename_table("orchestrators", "owners")
    op.alter_column("owners", "orchestrator_id", new_column_name="owner_id")

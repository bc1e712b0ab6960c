"""The field's words: what were owners are orchestrators."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rename only. Orchestrators from before must have stopped: they look for the old names."""
    op.alter_column("owners", "owner_id", new_column_name="orchestrator_id")
    op.rename_table("owners", "orchestrators")


def downgrade() -> None:
    """The old names."""
    op.rename_table("orchestrators", "owners")
    op.alter_column("owners", "orchestrator_id", new_column_name="owner_id")

"""Renames the table `owners` to `orchestrators`, and splits answers into an outcome and a reason."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_REFUSED = "refused: "

_commands = sa.table(
    "commands", sa.column("answer", sa.Text), sa.column("outcome", sa.String), sa.column("reason", sa.Text)
)


def upgrade() -> None:
    """Rename, and split answers. Orchestrators of earlier releases must be stopped: they use old names."""
    op.alter_column("owners", "owner_id", new_column_name="orchestrator_id")
    op.rename_table("owners", "orchestrators")
    op.add_column("commands", sa.Column("outcome", sa.String(10), nullable=True))
    op.add_column("commands", sa.Column("reason", sa.Text(), nullable=True))
    c = _commands.c
    refused = c.answer.startswith(_REFUSED)
    reason = sa.func.substr(c.answer, len(_REFUSED) + 1)
    op.execute(_commands.update().where(refused).values(outcome="refused", reason=reason))
    op.execute(_commands.update().where(c.answer.is_not(None), ~refused).values(outcome="accepted"))
    op.drop_column("commands", "answer")


def downgrade() -> None:
    """Restore the old names and answers."""
    op.add_column("commands", sa.Column("answer", sa.Text(), nullable=True))
    c = _commands.c
    op.execute(_commands.update().where(c.outcome == "accepted").values(answer="done"))
    refused = sa.literal(_REFUSED, sa.Text) + sa.func.coalesce(c.reason, "")
    op.execute(_commands.update().where(c.outcome == "refused").values(answer=refused))
    op.drop_column("commands", "reason")
    op.drop_column("commands", "outcome")
    op.rename_table("orchestrators", "owners")
    op.alter_column("owners", "orchestrator_id", new_column_name="owner_id")

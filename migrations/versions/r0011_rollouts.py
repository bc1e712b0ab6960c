"""Adds rollouts from a legacy agent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables. The release before knows nothing of them."""
    op.create_table(
        "rollouts",
        sa.Column("rollout_id", sa.String(100), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("stage_since", sa.Double(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("rollout_id", name="pk_rollouts"),
    )
    op.create_table(
        "rollout_decisions",
        sa.Column("rollout_id", sa.String(100), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "revision", name="pk_rollout_decisions"),
    )
    op.create_table(
        "rollout_requests",
        sa.Column("rollout_id", sa.String(100), nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("shadow", sa.Integer(), nullable=False),
        sa.Column("assigned", sa.String(20), nullable=False),
        sa.Column("key_hash", sa.String(16), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("centre", sa.Integer(), nullable=False),
        sa.Column("pace", sa.Double(), nullable=True),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("legacy_success", sa.Boolean(), nullable=True),
        sa.Column("legacy_seconds", sa.Double(), nullable=True),
        sa.Column("legacy_iterations", sa.Integer(), nullable=True),
        sa.Column("legacy_cost_usd", sa.Double(), nullable=True),
        sa.Column("legacy_findings", sa.Integer(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("iterations", sa.Integer(), nullable=True),
        sa.Column("cost_usd", sa.Double(), nullable=True),
        sa.Column("findings", sa.Integer(), nullable=True),
        sa.Column("failing", sa.Boolean(), nullable=True),
        sa.Column("time_tenths", sa.Integer(), nullable=True),
        sa.Column("cost_tenths", sa.Integer(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("complaint", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("rollout_id", "request_id", name="pk_rollout_requests"),
    )
    op.create_index(
        "ix_rollout_requests_rollout_id_stage_key_hash",
        "rollout_requests",
        ["rollout_id", "stage", "key_hash"],
    )


def downgrade() -> None:
    """Drop the tables. What they say is lost: write the reports before."""
    op.drop_table("rollout_requests")
    op.drop_table("rollout_decisions")
    op.drop_table("rollouts")

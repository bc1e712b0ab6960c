"""The tables of rollouts; see orchestrator.storage.tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, String, Table, Text

from orchestrator.storage.tables.naming import metadata

rollouts = Table(
    "rollouts",
    metadata,
    Column("rollout_id", String(100), primary_key=True),
    Column("plan", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("stage_since", Double, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double, nullable=True),
)
"""Rollouts from a legacy agent; `revision` grows with each change."""

rollout_decisions = Table(
    "rollout_decisions",
    metadata,
    Column("rollout_id", String(100), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("action", String(20), nullable=False),
    Column("who", String(200), nullable=False),
    Column("stage", Integer, nullable=False),
    Column("why", Text, nullable=False),
    Column("details", Text, nullable=False),
)
"""What led to each revision, with the numbers that it rests on as JSON."""

rollout_requests = Table(
    "rollout_requests",
    metadata,
    Column("rollout_id", String(100), primary_key=True),
    Column("request_id", String(200), primary_key=True),
    Column("stage", Integer, nullable=False),
    Column("percent", Integer, nullable=False),
    Column("shadow", Integer, nullable=False),
    Column("assigned", String(20), nullable=False),
    Column("key_hash", String(16), nullable=False),
    Column("counts", Boolean, nullable=False),
    Column("centre", Integer, nullable=False),
    Column("pace", Double, nullable=True),
    Column("block", Integer, nullable=False),
    Column("begun_at", Double, nullable=False),
    Column("legacy_success", Boolean, nullable=True),
    Column("legacy_seconds", Double, nullable=True),
    Column("legacy_iterations", Integer, nullable=True),
    Column("legacy_cost_usd", Double, nullable=True),
    Column("legacy_findings", Integer, nullable=True),
    Column("success", Boolean, nullable=True),
    Column("seconds", Double, nullable=True),
    Column("iterations", Integer, nullable=True),
    Column("cost_usd", Double, nullable=True),
    Column("findings", Integer, nullable=True),
    Column("failing", Boolean, nullable=True),
    Column("time_tenths", Integer, nullable=True),
    Column("cost_tenths", Integer, nullable=True),
    Column("rating", Integer, nullable=True),
    Column("complaint", Boolean, nullable=True),
    Index(None, "rollout_id", "stage", "key_hash"),
)
"""What programs recorded of their requests; columns without `legacy_` are those of the multi-agent arm.

counts: whether it is evidence. centre, pace: the legacy arm's success in twentieths and mean seconds, as they
were known when it came. time_tenths, cost_tenths: in tenths of that pace, and of the limit.
"""

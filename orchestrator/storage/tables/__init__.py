"""The tables. The migrations must add up to exactly these."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
)

from orchestrator.storage.tables.naming import metadata
from orchestrator.storage.tables.rollouts import rollout_decisions, rollout_requests, rollouts

__all__ = ("metadata", "rollout_decisions", "rollout_requests", "rollouts")

REVISION = "0011"
"""The newest revision of `migrations`; these tables are what it leads to."""

_serial = BigInteger().with_variant(Integer, "sqlite")

shards = Table(
    "shards",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("owner", String(200), nullable=True),
    Column("epoch", BigInteger, nullable=False),
    Column("renewals", BigInteger, nullable=False),
)

orchestrators = Table(
    "orchestrators",
    metadata,
    Column("orchestrator_id", String(200), primary_key=True),
    Column("host", String(300), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("renewals", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)

workflows = Table(
    "workflows",
    metadata,
    Column("workflow_id", String(100), primary_key=True),
    Column("todo_list_id", String(100), nullable=False),
    Column("request", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("base_commit", String(40), nullable=True),
    Column("repository", Text, nullable=True),
    Column("result_commit", String(40), nullable=True),
    Column("open_tasks", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("finished_at", Double, nullable=True),
    Column("questions", Boolean, nullable=False, server_default=false()),
    Column("budget", Text, nullable=True),
    Column("approvals", Text, nullable=True),
    Index(None, "status", "shard"),
    Index(None, "created_at"),
)

plans = Table(
    "plans",
    metadata,
    Column("workflow_id", String(100), primary_key=True),
    Column("size", Integer, nullable=False),
    Column("definitions", Text, nullable=False),
)
"""The tasks of a workflow as it was submitted: how many, and a JSON array of TodoItems that never changes."""

tasks = Table(
    "tasks",
    metadata,
    Column("workflow_id", String(100), primary_key=True),
    Column("task_id", String(100), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("item", Text, nullable=False),
    Column("dependencies", JSON, nullable=False),
    Column("status", String(20), nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("outages", Integer, nullable=False, server_default="0"),
    Column("suspect", Boolean, nullable=False, server_default=false()),
    Column("dispatch_id", String(100), nullable=True),
    Column("dispatched_at", Double, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("parents", JSON, nullable=False),
    Column("approved_hash", String(64), nullable=True),
    Column("commit_name", String(40), nullable=True),
    Column("verdict", String(10), nullable=True),
    Column("outcome", Text, nullable=False),
)
"""Tasks to which something has happened; any other is as the plan has it, and ready once it may start.

A task that was added later has its `item` and `position`; for one of the plan they are empty and 0.
"""

journal = Table(
    "journal",
    metadata,
    Column("sequence", _serial, primary_key=True, autoincrement=True),
    Column("workflow_id", String(100), nullable=False),
    Column("task_id", String(100), nullable=True),
    Column("at", Double, nullable=False),
    Column("kind", String(50), nullable=False),
    Column("data", JSON, nullable=False),
    Index(None, "workflow_id", "sequence"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("entry_id", String(100), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("workflow_id", String(100), nullable=False),
    Column("task_id", String(100), nullable=False),
    Column("commit_name", String(40), nullable=True),
    Column("entries", Text, nullable=True),
)
"""`entries` holds the entries of a row that stands for several, as JSON."""

commands = Table(
    "commands",
    metadata,
    Column("command_id", String(100), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("workflow_id", String(100), nullable=False),
    Column("shard", Integer, nullable=True),
    Column("body", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("applied_at", Double, nullable=True),
    Column("outcome", String(10), nullable=True),
    Column("reason", Text, nullable=True),
    Index(None, "applied_at", "created_at"),
)
"""outcome, reason: "accepted", or "refused" and why; both are null until the command is applied."""

workers = Table(
    "workers",
    metadata,
    Column("worker_id", String(100), primary_key=True),
    Column("host", String(300), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("streams", JSON, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("joined_at", Double, nullable=False),
    Column("left_at", Double, nullable=True),
    Column("left_why", String(200), nullable=True),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("dead_letter_id", _serial, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("stream", String(250), nullable=False),
    Column("workflow_id", String(100), nullable=True),
    Column("task_id", String(100), nullable=True),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("origin", String(200), nullable=True),
    Column("logs", Text, nullable=True),
    Column("resolved_at", Double, nullable=True),
    Column("resolution", String(20), nullable=True),
    Index(None, "origin", unique=True),
)

release_approvals = Table(
    "release_approvals",
    metadata,
    Column("number", _serial, primary_key=True, autoincrement=True),
    Column("action_hash", String(64), nullable=False),
    Column("base_hash", String(64), nullable=False),
    Column("workflow_id", String(100), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("action", Text, nullable=False),
    Column("rule", String(100), nullable=False),
    Column("risk", String(10), nullable=False),
    Column("hours", Double, nullable=False),
    Column("state", String(10), nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("person", Text, nullable=True),
    Column("comment", Text, nullable=True),
    Column("decided_at", Double, nullable=True),
    Column("until", Double, nullable=True),
    Column("used_by", String(100), nullable=True),
    Index(None, "action_hash", unique=True),
    Index(None, "base_hash"),
    Index(None, "workflow_id", "kind"),
)
"""Releases into a user's repository that a person must allow; the action is JSON, and hashed.

base_hash is that of the action without what became of an earlier approval of it.
"""

counters = Table(
    "counters",
    metadata,
    Column("name", String(50), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Numbers that only grow, by name."""

audit = Table(
    "audit",
    metadata,
    Column("chain", String(20), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("kind", String(50), nullable=False),
    Column("workflow_id", String(100), nullable=True),
    Column("entry", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "at"),
    Index(None, "workflow_id"),
)
"""Decisions, in chains of hashes: see `orchestrator.core.audit.chain`. Rows are never changed or deleted."""

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("chain", String(20), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)
"""The newest row of each chain; who appends to one locks it here."""

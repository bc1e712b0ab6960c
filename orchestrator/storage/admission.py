"""How many workflows may be open or queued at once (I9)."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from contracts.base.errors import Busy
from orchestrator.core.commands import CommandKind
from orchestrator.core.state import WorkflowStatus
from orchestrator.storage import tables as t

MAX_OPEN_WORKFLOWS = 5_000

_LOCK = 7_210_331_908
_OPEN = [status.value for status in WorkflowStatus if not status.terminal]


def check_room(connection: Connection, limit: int, wanted: int) -> None:
    """Raises Busy unless `wanted` more may be queued in this transaction. Counts by index."""
    if connection.dialect.name == "postgresql":
        # Concurrent submissions must not miss each other when they count; SQLite has one writer anyway.
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    w, c = t.workflows.c, t.commands.c
    counts = (
        select(func.count()).where(w.status.in_(_OPEN)),
        select(func.count()).where(c.kind == CommandKind.SUBMIT.value, c.applied_at.is_(None)),
    )
    found = sum(connection.execute(query).scalar_one() for query in counts)
    if found + wanted > limit:
        raise Busy(
            f"{found} workflows are open, the limit is {limit}; wait until some have ended, "
            "or raise MULTI_AGENT_MAX_OPEN_WORKFLOWS"
        )

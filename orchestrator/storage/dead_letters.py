"""Reads dead letters."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.storage import tables as t

_c = t.dead_letters.c
_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _c.dead_letter_id,
    _c.at,
    _c.stream,
    _c.workflow_id,
    _c.task_id,
    _c.reason,
    _c.raw,
    _c.logs,
    _c.resolved_at,
    _c.resolution,
)


def read_dead_letter(connection: Connection, dead_letter_id: int) -> StoredDeadLetter | None:
    """One dead letter, None when it does not exist."""
    row = connection.execute(select(*_COLUMNS).where(_c.dead_letter_id == dead_letter_id)).first()
    return StoredDeadLetter(*row) if row else None


def read_dead_letters(
    connection: Connection, *, resolved: bool, workflow_id: str | None, limit: int
) -> list[StoredDeadLetter]:
    """The newest dead letters, oldest first; of one workflow, or of all.

    resolved: include those that were retried or discarded.
    """
    query = select(*_COLUMNS).order_by(_c.dead_letter_id.desc()).limit(limit)
    if not resolved:
        query = query.where(_c.resolved_at.is_(None))
    if workflow_id is not None:
        query = query.where(_c.workflow_id == workflow_id)
    return [StoredDeadLetter(*row) for row in connection.execute(query)][::-1]

"""Reads dead letters, and drops the oldest of those that are only messages nobody could read."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.storage import tables as t
from orchestrator.storage.sql.database import upsert

MOST_MESSAGES: Final = 1_000
MOST_MESSAGE_BYTES: Final = 64_000_000
"""How many unreadable messages are kept, and how many bytes they have together (I9)."""
_DROPPED: Final = "dropped_dead_letters"

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


def drop_oldest_messages(
    connection: Connection, most: int = MOST_MESSAGES, most_bytes: int = MOST_MESSAGE_BYTES
) -> None:
    """Drop the oldest unreadable messages beyond what is kept, and count them. Tasks are never dropped."""
    newest_first = _c.dead_letter_id.desc()
    kept = (
        select(
            _c.dead_letter_id,
            func.row_number().over(order_by=newest_first).label("count"),
            func.sum(func.length(_c.raw)).over(order_by=newest_first).label("bytes"),
        )
        .where(_c.task_id.is_(None))
        .subquery()
        .c
    )
    beyond = or_(kept.count > most, kept.bytes > most_bytes)
    newest = connection.execute(select(func.max(kept.dead_letter_id)).where(beyond)).scalar()
    if newest is None:
        return
    oldest = _c.task_id.is_(None), _c.dead_letter_id <= newest
    dropped = connection.execute(delete(t.dead_letters).where(*oldest)).rowcount
    value = t.counters.c.value + dropped
    upsert(connection, t.counters, {"name": _DROPPED, "value": dropped}, {"value": value})


def read_dropped_messages(connection: Connection) -> int:
    """How many unreadable messages were dropped."""
    query = select(t.counters.c.value).where(t.counters.c.name == _DROPPED)
    return int(connection.execute(query).scalar() or 0)

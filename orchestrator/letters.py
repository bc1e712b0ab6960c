"""Dead letters: how they are made, and how they are read from the database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from contracts.ports.bus import Delivery, Outgoing
from orchestrator import tables as t
from orchestrator.batch import DeadLetter
from orchestrator.state import TaskState


def unreadable(delivery: Delivery, reason: str) -> DeadLetter:
    """A delivery that could not be used. The same bytes in another entry are another letter."""
    digest = hashlib.sha256(delivery.payload).hexdigest()[:32]
    origin = f"{delivery.stream[-100:]}/{delivery.entry_id}/{digest}"
    return DeadLetter(delivery.stream, reason, delivery.payload, origin=origin)


def given_up(dispatch: Outgoing, workflow_id: str, task: TaskState, logs: str | None) -> DeadLetter:
    """A task that took its workers down, with its last dispatch."""
    why = task.error.message if task.error else "unknown"
    reason = f"{task.crashes} workers died while they ran this task alone; the last: {why}"
    origin = f"{workflow_id}/{task.task_id}/{task.attempt}"
    return DeadLetter(dispatch.stream, reason, dispatch.payload, workflow_id, task.task_id, origin, logs)


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter. `at` and `resolved_at` are in seconds since 1970; task letters name their task."""

    dead_letter_id: int
    at: float
    stream: str
    workflow_id: str | None
    task_id: str | None
    reason: str
    raw: bytes
    logs: str | None
    resolved_at: float | None
    resolution: str | None

    @property
    def served_with(self) -> str:
        """Whose owner applies commands about it: the workflow's; any name will do for a mere message."""
        return self.workflow_id or f"dead-letter-{self.dead_letter_id}"


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


def read_letter(connection: Connection, dead_letter_id: int) -> StoredLetter | None:
    """One letter, None when there is none of that number."""
    row = connection.execute(select(*_COLUMNS).where(_c.dead_letter_id == dead_letter_id)).first()
    return StoredLetter(*row) if row else None


def read_letters(
    connection: Connection, *, resolved: bool, workflow_id: str | None, limit: int
) -> list[StoredLetter]:
    """The newest letters, oldest first: the open ones, or all when `resolved`; of one workflow, or of all."""
    query = select(*_COLUMNS).order_by(_c.dead_letter_id.desc()).limit(limit)
    if not resolved:
        query = query.where(_c.resolved_at.is_(None))
    if workflow_id is not None:
        query = query.where(_c.workflow_id == workflow_id)
    return [StoredLetter(*row) for row in connection.execute(query)][::-1]

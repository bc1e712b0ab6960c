"""Rollouts and the decisions about them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import Connection, insert, select, update

from orchestrator.core.audit.entries import COMMANDS, AuditEntry
from orchestrator.storage import tables as t
from orchestrator.storage.audit.log import append_audit

RUNNING: Final = "running"
COMPLETED: Final = "completed"
_r = t.rollouts.c
_d = t.rollout_decisions.c


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A rollout."""

    rollout_id: str
    plan: str
    """A JSON document."""
    state: str
    """"running", "completed" or "rolled_back"."""
    stage: int
    """Counted from 0."""
    stage_since: float
    """Seconds since 1970, as all times here."""
    revision: int
    started_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class RolloutDecision:
    """What led to a revision of a rollout."""

    rollout_id: str
    revision: int
    at: float
    action: str
    """"start", "promote", "complete" or "rollback"."""
    who: str
    stage: int
    """That it was about."""
    why: str
    details: str
    """A JSON document with its numbers."""


def read_rollout(
    connection: Connection, rollout_id: str | None = None, *, lock: bool = False
) -> RolloutRow | None:
    """One rollout, or the newest; None where there is none. `lock`: nobody else changes it meanwhile."""
    query = select(t.rollouts).order_by(_r.started_at.desc(), _r.rollout_id.desc()).limit(1)
    if rollout_id is not None:
        query = query.where(_r.rollout_id == rollout_id)
    if lock:
        query = query.with_for_update()
    row = connection.execute(query).first()
    return RolloutRow(*row) if row else None


def read_decisions(connection: Connection, rollout_id: str) -> list[RolloutDecision]:
    """All decisions about a rollout, oldest first."""
    query = select(t.rollout_decisions).where(_d.rollout_id == rollout_id).order_by(_d.revision)
    return [RolloutDecision(*row) for row in connection.execute(query)]


def add_rollout(
    connection: Connection, row: RolloutRow, why: RolloutDecision, entry: AuditEntry
) -> str | None:
    """Add a rollout, unless one runs or has its name: then the name of that one, and nothing is written."""
    # One after the other, even before there is a row to lock: the end of the chain is locked first.
    with connection.begin_nested() as attempt:
        append_audit(connection, [(COMMANDS, entry)], why.at)
        query = select(_r.rollout_id).where((_r.state == RUNNING) | (_r.rollout_id == row.rollout_id))
        other: str | None = connection.execute(query).scalars().first()
        if other is not None:
            attempt.rollback()
            return other
        connection.execute(insert(t.rollouts).values(asdict(row)))
        connection.execute(insert(t.rollout_decisions).values(asdict(why)))
    return None


def change_rollout(connection: Connection, row: RolloutRow, why: RolloutDecision, entry: AuditEntry) -> bool:
    """Write the next revision with what led to it; False where it is at another, or has ended.

    A completed rollout may still be rolled back.
    """
    before = [RUNNING, COMPLETED] if why.action == "rollback" else [RUNNING]
    of_the_one_before = (
        _r.rollout_id == row.rollout_id,
        _r.revision == row.revision - 1,
        _r.state.in_(before),
    )
    changed = connection.execute(update(t.rollouts).where(*of_the_one_before).values(asdict(row)))
    if changed.rowcount != 1:
        return False
    connection.execute(insert(t.rollout_decisions).values(asdict(why)))
    append_audit(connection, [(COMMANDS, entry)], why.at)
    return True

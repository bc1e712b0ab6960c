"""Approvals of releases into a user's repository: what waits, what was decided, and what was used up."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, insert, select, update

from contracts.documents.canonical_json import canonical_hash
from contracts.messages.approvals import EarlierApproval
from orchestrator.core.approvals.actions import Needed
from orchestrator.core.audit.entries import COMMANDS, Actor, AuditEntry, AuditKind, Fact, text_hash
from orchestrator.storage import tables as t
from orchestrator.storage.audit.log import append_audit
from orchestrator.storage.rows import storable

_c = t.release_approvals.c
_OPEN = ("asked", "approved")
_USABLE_AGAIN = {"approved", "consumed", "done"}
_ENDS = {"approved": "expired", "consumed": "unknown", "done": "consumed"}
"""What a later action says of the state in which an approval was left."""


class Release(NamedTuple):
    """A release that a rule names."""

    workflow_id: str
    kind: str
    """`apply` or `pr`."""
    action: dict[str, Any]
    """All that is approved, without what became of an earlier approval of the same."""
    needs: Needed

    @property
    def base_hash(self) -> str:
        """The same for each time it is asked about."""
        return canonical_hash(self.action)


class WaitingRelease(NamedTuple):
    """A release that waits for a person."""

    workflow_id: str
    kind: str
    action: dict[str, Any]
    action_hash: str
    rule: str
    risk: str


class Said(NamedTuple):
    """What a person decides."""

    approve: bool
    person: str
    comment: str


def use_release(
    connection: Connection, release: Release, actor: Actor, use_id: str, now: float
) -> str | None:
    """Use up an approval of exactly this, in the caller's transaction; its hash, None where one is asked for.

    What is asked about is stored then. A denial is final: its comment is raised as PermissionError.
    """
    used = _use(connection, release, use_id, now)
    kind = AuditKind.APPROVAL_ASKED if used is None else AuditKind.APPROVAL_USED
    facts: dict[str, Fact] = {"effect": release.kind, "rule": release.needs.rule, "action_sha256": used}
    facts["dispatch_id"] = use_id if used else None
    entry = AuditEntry(kind, actor.who, actor.via, release.workflow_id, None, facts)
    append_audit(connection, [(COMMANDS, entry)], now)
    return used


def _use(connection: Connection, release: Release, use_id: str, now: float) -> str | None:
    newest = select(t.release_approvals).where(_c.base_hash == release.base_hash)
    row = connection.execute(newest.order_by(_c.number.desc()).limit(1).with_for_update()).mappings().first()
    if row is not None and row["state"] == "denied":
        raise PermissionError(row["comment"])
    if row is not None and row["state"] == "asked":
        return None
    again = release.needs.idempotent
    if row is None or row["state"] not in (_USABLE_AGAIN if again else {"approved"}) or now >= row["until"]:
        _ask(connection, release, row, now)
        return None
    _set(connection, row["action_hash"], state="consumed", used_by=use_id)
    return str(row["action_hash"])


def end_release(connection: Connection, action_hash: str, *, done: bool) -> None:
    """Say what became of what used an approval: it is done, or nothing happened and it can be used still."""
    _set(connection, action_hash, state="done" if done else "approved")


def decide_release(
    connection: Connection, asked: WaitingRelease, said: Said, actor: Actor, now: float
) -> bool:
    """Decide about what is asked; False when it is not asked any more. Of several exactly one decides."""
    changes = {
        "state": "approved" if said.approve else "denied",
        "person": said.person,
        "comment": storable(said.comment),
        "decided_at": now,
        "until": now + _c.hours * 3_600,
    }
    same = (_c.action_hash == asked.action_hash, _c.state == "asked")
    if connection.execute(update(t.release_approvals).where(*same).values(changes)).rowcount != 1:
        return False
    kind = AuditKind.APPROVAL_GIVEN if said.approve else AuditKind.APPROVAL_DENIED
    facts: dict[str, Fact] = {"effect": asked.kind, "action_sha256": asked.action_hash}
    facts["text_sha256"] = text_hash(said.comment) if said.comment else None
    entry = AuditEntry(kind, said.person, actor.via, asked.workflow_id, None, facts)
    append_audit(connection, [(COMMANDS, entry)], now)
    return True


def read_waiting_releases(connection: Connection, limit: int) -> list[WaitingRelease]:
    """The newest that are asked about, newest first."""
    query = select(t.release_approvals).where(_c.state == "asked").order_by(_c.number.desc()).limit(limit)
    return [
        WaitingRelease(
            row["workflow_id"],
            row["kind"],
            json.loads(row["action"]),
            row["action_hash"],
            row["rule"],
            row["risk"],
        )
        for row in connection.execute(query).mappings()
    ]


def _ask(connection: Connection, release: Release, before: RowMapping | None, now: float) -> None:
    """Store that it waits; what was asked or approved of another state of the same release counts no more."""
    same = (_c.workflow_id == release.workflow_id, _c.kind == release.kind, _c.state.in_(_OPEN))
    connection.execute(update(t.release_approvals).where(*same).values(state="changed"))
    action = {**release.action, "earlier": _earlier(before)}
    row = {
        "action_hash": canonical_hash(action),
        "base_hash": release.base_hash,
        "workflow_id": release.workflow_id,
        "kind": release.kind,
        "action": json.dumps(action),
        "rule": release.needs.rule,
        "risk": release.needs.risk,
        "hours": release.needs.hours,
        "state": "asked",
        "asked_at": now,
    }
    connection.execute(insert(t.release_approvals).values(row))


def _earlier(row: RowMapping | None) -> dict[str, Any] | None:
    """What became of the approval of before."""
    if row is None:
        return None
    state = _ENDS.get(row["state"], row["state"])
    earlier = EarlierApproval(action_hash=row["action_hash"], state=state, dispatch_id=row["used_by"])
    return earlier.model_dump(mode="json")


def _set(connection: Connection, action_hash: str, **values: Any) -> None:
    connection.execute(update(t.release_approvals).where(_c.action_hash == action_hash).values(**values))

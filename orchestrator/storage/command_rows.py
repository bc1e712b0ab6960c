"""The commands table: what clients append, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from orchestrator.core.audit.commands import asked_entry
from orchestrator.core.audit.entries import COMMANDS, Actor
from orchestrator.core.commands import ACCEPTED, Body, CommandResult, body_text
from orchestrator.core.sharding import shard_of
from orchestrator.storage import tables as t
from orchestrator.storage.admission import check_room
from orchestrator.storage.audit.log import append_audit
from orchestrator.storage.rows import storable
from orchestrator.storage.spending.day_budget import check_lent, check_limited, day_spending, lock_day


def append_commands(
    connection: Connection,
    commands: Mapping[str, tuple[str, Body]],
    now: float,
    max_open: int | None,
    actor: Actor,
    day_usd: float | None = None,
) -> None:
    """Store (workflow id, body) by command id; an id that is known already is left out.

    Each new one is in the audit log, by `actor` where its body names nobody.
    max_open: raise Busy when the new commands would lead to more open workflows than this.
    day_usd: raise Busy when they would let all workflows spend more than this on a day, and InvalidInput for
        one that has no limit of its own.
    """
    query = select(t.commands.c.command_id).where(t.commands.c.command_id.in_(commands))
    known = set(connection.execute(query).scalars())
    new: list[dict[str, Any]] = [
        {
            "command_id": command_id,
            "kind": body.kind,
            "workflow_id": workflow_id,
            "shard": shard_of(workflow_id),
            "body": body_text(body),
            "created_at": now,
        }
        for command_id, (workflow_id, body) in commands.items()
        if command_id not in known
    ]
    if not new:
        return
    if max_open is not None:
        check_room(connection, max_open, len(new))
    added = {name: command for name, command in commands.items() if name not in known}
    if day_usd is None:
        connection.execute(insert(t.commands), new)
    else:
        check_limited(connection, added.values())
        lock_day(connection)
        before = day_spending(connection, now)
        connection.execute(insert(t.commands), new)
        check_lent(day_usd, before, day_spending(connection, now), now)
    append_audit(connection, [(COMMANDS, asked_entry(name, *one, actor)) for name, one in added.items()], now)


def read_result(connection: Connection, command_id: str) -> CommandResult | None:
    """What became of a command, None while it waits."""
    c = t.commands.c
    outcome, reason = connection.execute(select(c.outcome, c.reason).where(c.command_id == command_id)).one()
    if outcome is None:
        return None
    return ACCEPTED if outcome == "accepted" else CommandResult(refusal=reason)


def result_values(result: CommandResult) -> tuple[str, str | None]:
    """The columns `outcome` and `reason`."""
    if result.refusal is None:
        return "accepted", None
    return "refused", storable(result.refusal)


def has_unapplied_commands(connection: Connection, workflow_id: str) -> bool:
    """Whether a command about the workflow waits for an orchestrator."""
    c = t.commands.c
    query = select(c.command_id).where(c.workflow_id == workflow_id, c.applied_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def read_unapplied_commands(connection: Connection, workflow_id: str) -> tuple[tuple[str, float], ...]:
    """(kind, appended at in seconds since 1970) of the commands that wait, oldest first."""
    c = t.commands.c
    query = select(c.kind, c.created_at).where(c.workflow_id == workflow_id, c.applied_at.is_(None))
    return tuple((kind, at) for kind, at in connection.execute(query.order_by(c.created_at)))

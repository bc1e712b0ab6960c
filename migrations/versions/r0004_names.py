"""Renames what is stored to the names of release 0.1.0, and splits answers into an outcome and a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_Data = dict[str, Any]

_REFUSED = "refused: "
_OUTBOX_KINDS = ("parcel", "dispatches")
_COMMAND_KINDS = (("retry-letter", "retry-dead-letter"), ("discard-letter", "discard-dead-letter"))
_JOURNAL_KEYS = {
    "task.retrying": ("again_in_seconds", "retry_in_seconds"),
    "task.delayed": ("again_in_seconds", "retry_in_seconds"),
    "task.lost": ("worker", "dead_worker_id"),
    "outcome.refused": ("why", "reason"),
    "command.refused": ("why", "reason"),
}
"""(old, new) key of the data of each kind."""
_TO_BE_FIXED = "task.to_be_fixed"
"""The kind whose `added` was text, names joined by commas, and is a list."""
_BATCH = 1000

_outbox = sa.table("outbox", sa.column("entry_id", sa.String), sa.column("kind", sa.String))
_commands = sa.table(
    "commands",
    sa.column("kind", sa.String),
    sa.column("body", sa.Text),
    sa.column("answer", sa.Text),
    sa.column("outcome", sa.String),
    sa.column("reason", sa.Text),
)
_journal = sa.table(
    "journal", sa.column("sequence", sa.BigInteger), sa.column("kind", sa.String), sa.column("data", sa.JSON)
)


def upgrade() -> None:
    """Rename, and split answers. Orchestrators of earlier versions must be stopped: they use old names."""
    _move_orchestrators("owners", "owner_id", "orchestrators", "orchestrator_id")
    _split_answers()
    _rename_outbox_rows(*_OUTBOX_KINDS)
    for old, new in _COMMAND_KINDS:
        _rename_command(old, new)
    _convert_journal(_new_data)


def downgrade() -> None:
    """Restore the old names and answers."""
    _convert_journal(_old_data)
    for old, new in _COMMAND_KINDS:
        _rename_command(new, old)
    _rename_outbox_rows(*reversed(_OUTBOX_KINDS))
    _join_answers()
    _move_orchestrators("orchestrators", "orchestrator_id", "owners", "owner_id")


def _move_orchestrators(old: str, old_key: str, new: str, new_key: str) -> None:
    """Copy into a new table: SQLite cannot rename the constraint of the primary key."""
    others = ("host", "pid", "started_at", "renewals", "note")
    table = op.create_table(
        new,
        sa.Column(new_key, sa.String(200), nullable=False),
        sa.Column("host", sa.String(300), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(new_key, name=f"pk_{new}"),
    )
    source = sa.table(old, sa.column(old_key), *map(sa.column, others))
    op.execute(sa.insert(table).from_select([new_key, *others], sa.select(*source.c)))
    op.drop_table(old)


def _split_answers() -> None:
    op.add_column("commands", sa.Column("outcome", sa.String(10), nullable=True))
    op.add_column("commands", sa.Column("reason", sa.Text(), nullable=True))
    c = _commands.c
    refused = c.answer.startswith(_REFUSED)
    reason = sa.func.substr(c.answer, len(_REFUSED) + 1)
    op.execute(_commands.update().where(refused).values(outcome="refused", reason=reason))
    op.execute(_commands.update().where(c.answer.is_not(None), ~refused).values(outcome="accepted"))
    op.drop_column("commands", "answer")


def _join_answers() -> None:
    op.add_column("commands", sa.Column("answer", sa.Text(), nullable=True))
    c = _commands.c
    op.execute(_commands.update().where(c.outcome == "accepted").values(answer="done"))
    refused = sa.literal(_REFUSED, sa.Text) + sa.func.coalesce(c.reason, "")
    op.execute(_commands.update().where(c.outcome == "refused").values(answer=refused))
    op.drop_column("commands", "reason")
    op.drop_column("commands", "outcome")


def _rename_outbox_rows(old: str, new: str) -> None:
    """The id of a row of several entries begins with its kind; the store derives the id to delete the row."""
    entry_id = sa.literal(new, sa.String) + sa.func.substr(_outbox.c.entry_id, len(old) + 1)
    op.execute(_outbox.update().where(_outbox.c.kind == old).values(kind=new, entry_id=entry_id))


def _rename_command(old: str, new: str) -> None:
    c = _commands.c
    body = sa.func.replace(c.body, f'"kind":"{old}"', f'"kind":"{new}"')
    op.execute(_commands.update().where(c.kind == old).values(kind=new, body=body))


def _convert_journal(convert: Callable[[str, Mapping[str, Any]], _Data]) -> None:
    connection = op.get_bind()
    c = _journal.c
    affected = sa.select(c.sequence, c.kind, c.data).where(c.kind.in_((*_JOURNAL_KEYS, _TO_BE_FIXED)))
    change = _journal.update().where(c.sequence == sa.bindparam("of")).values(data=sa.bindparam("converted"))
    last = -1
    while rows := connection.execute(
        affected.where(c.sequence > last).order_by(c.sequence).limit(_BATCH)
    ).all():
        new = [{"of": sequence, "converted": convert(kind, data)} for sequence, kind, data in rows]
        connection.execute(change, new)
        last = rows[-1].sequence


def _new_data(kind: str, data: Mapping[str, Any]) -> _Data:
    if kind != _TO_BE_FIXED:
        return _with_key(data, *_JOURNAL_KEYS[kind])
    added = data.get("added")
    return {**data, "added": added.split(", ") if added else []} if isinstance(added, str) else {**data}


def _old_data(kind: str, data: Mapping[str, Any]) -> _Data:
    if kind != _TO_BE_FIXED:
        return _with_key(data, *reversed(_JOURNAL_KEYS[kind]))
    added = data.get("added")
    return {**data, "added": ", ".join(added)} if isinstance(added, list) else {**data}


def _with_key(data: Mapping[str, Any], old: str, new: str) -> _Data:
    return {new if key == old else key: value for key, value in data.items()}

"""The statements that write a batch.

The driver gets them as SQL and plain values: what SQLAlchemy does for each row of an `executemany` costs as
much as the database does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, String, Table, bindparam, func, make_url, update
from sqlalchemy.dialects import sqlite

from contracts.messages.journal import JournalEvent
from contracts.messages.journal_rows import encode_journal
from orchestrator.core.state import Header
from orchestrator.scheduling.batch import Batch, DeadLetter, OutboxEntry
from orchestrator.storage import tables as t
from orchestrator.storage.command_rows import result_values
from orchestrator.storage.dead_letters import drop_oldest_messages
from orchestrator.storage.outbox import outbox_row
from orchestrator.storage.rows import (
    DISPATCH_CHANGES,
    HEADER_CHANGES,
    SUCCESS_CHANGES,
    TASK_CHANGES,
    TASK_KEYS,
    UNTOUCHED,
    Row,
    dispatch_changes,
    header_changes,
    header_row,
    item_text,
    json_text,
    plan_row,
    storable,
    success_changes,
    task_changes,
)
from orchestrator.storage.sql.pipelining import send_statement
from orchestrator.storage.sql.transactions import sqlite_driver

_FEW = 3
"""Up to this many rows PostgreSQL gets one by one: the driver needs long to write an array."""


@cache
def _postgres() -> Dialect:
    """Slow to import, and most databases are SQLite's."""
    return make_url("postgresql://").get_dialect()()


class Rows:
    """A statement for many rows of a table, each the values of `columns` and then those of `keys`.

    - Without `keys` it inserts the rows.
    - With `keys` it updates `columns` of the rows with these keys, or deletes these rows without `columns`.
    - With `fixed` (column -> SQL) it also inserts the rows that are missing, with these values as well.

    SQLite gets the rows one by one, PostgreSQL many as arrays.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        keys: Sequence[str] = (),
        fixed: Mapping[str, str] | None = None,
    ) -> None:
        self._table = table
        self._keys = keys
        self._columns = columns
        self._fixed = fixed or {}
        self._names = (*columns, *keys)

    def write(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Execute for these rows. The values must be of types that drivers accept."""
        if not rows:
            return
        if driver := sqlite_driver(connection):
            driver.executemany(self._sqlite, rows)
        elif len(rows) <= _FEW:
            for row in rows:
                send_statement(connection, self._postgres_one, row)
        else:
            send_statement(connection, self._postgres, tuple(map(list, zip(*rows, strict=True))))

    @cached_property
    def _postgres_one(self) -> str:
        return self._sqlite.replace("?", "%s")

    @cached_property
    def _sqlite(self) -> str:
        name, match = self._table.name, " AND ".join(f"{key} = ?" for key in self._keys)
        if not self._keys or self._fixed:
            return self._insert(f"VALUES ({', '.join([*'?' * len(self._names), *self._fixed.values()])})")
        if not self._columns:
            return f"DELETE FROM {name} WHERE {match}"
        return f"UPDATE {name} SET {', '.join(f'{column} = ?' for column in self._columns)} WHERE {match}"

    @cached_property
    def _postgres(self) -> str:
        name = self._table.name
        given = f"unnest({', '.join(map(self._array, self._names))}) AS given ({', '.join(self._names)})"
        match = " AND ".join(f"{name}.{key} = given.{key}" for key in self._keys)
        if not self._keys or self._fixed:
            return self._insert(f"SELECT {', '.join(['given.*', *self._fixed.values()])} FROM {given}")
        if not self._columns:
            return f"DELETE FROM {name} USING {given} WHERE {match}"
        changes = ", ".join(f"{column} = given.{column}" for column in self._columns)
        return f"UPDATE {name} SET {changes} FROM {given} WHERE {match}"

    def _insert(self, rows: str) -> str:
        text = f"INSERT INTO {self._table.name} ({', '.join([*self._names, *self._fixed])}) {rows}"
        if not self._fixed:
            return text
        changes = ", ".join(f"{column} = excluded.{column}" for column in self._columns)
        return f"{text} ON CONFLICT ({', '.join(self._keys)}) DO UPDATE SET {changes}"

    def _array(self, column: str) -> str:
        kind = self._table.c[column].type
        # A cast to a limited type would cut what is too long instead of refusing it.
        text = "TEXT" if isinstance(kind, String) else kind.compile(_postgres())
        return f"%s::{text}[]"


_INSERT_WORKFLOW = Rows(t.workflows, Header._fields)
_INSERT_PLAN = Rows(t.plans, ("workflow_id", "size", "definitions"))
_INSERT_TASK = Rows(t.tasks, (*TASK_CHANGES, *TASK_KEYS, "position", "item"))
_INSERT_JOURNAL = Rows(t.journal, ("workflow_id", "task_id", "at", "kind", "data"))
_INSERT_OUTBOX = Rows(t.outbox, ("entry_id", "kind", "workflow_id", "task_id", "commit_name", "entries"))
_OF_PLAN = {"position": "0", "item": "''"}
_SET_TASK = Rows(t.tasks, TASK_CHANGES, TASK_KEYS, _OF_PLAN)
_SET_DISPATCHED = Rows(t.tasks, DISPATCH_CHANGES, TASK_KEYS, {**_OF_PLAN, **UNTOUCHED})
_UPDATE_SUCCEEDED = Rows(t.tasks, SUCCESS_CHANGES, TASK_KEYS)
_UPDATE_WORKFLOW = Rows(t.workflows, HEADER_CHANGES, ("workflow_id",))
_UPDATE_COUNT = Rows(t.workflows, ("open_tasks",), ("workflow_id",))
_ANSWER = Rows(t.commands, ("applied_at", "outcome", "reason"), ("command_id",))
_DELETE_OUTBOX = Rows(t.outbox, (), ("entry_id",))
_RESOLVE = (
    update(t.dead_letters)
    .where(t.dead_letters.c.dead_letter_id == bindparam("key_letter"))
    .values(resolved_at=bindparam("key_at"), resolution=bindparam("key_how"))
)
_RESOLVE_RETRIED = (
    update(t.dead_letters)
    .where(
        t.dead_letters.c.workflow_id == bindparam("key_workflow"),
        t.dead_letters.c.task_id
        == func.coalesce(bindparam("key_task", type_=String), t.dead_letters.c.task_id),
        t.dead_letters.c.resolved_at.is_(None),
    )
    .values(resolved_at=bindparam("key_at"), resolution="retried")
)


def write_rows(connection: Connection, batch: Batch) -> None:
    """Write the batch without dead letters and outbox, by one statement for each table and kind of change."""
    now = batch.now
    new_tasks, changed_tasks, dispatched, succeeded = [], [], [], []
    for key, task in batch.tasks.items():
        if key in batch.dispatch_only:
            dispatched.append(dispatch_changes(key[0], task))
        elif key in batch.success_only:
            succeeded.append(success_changes(key[0], task))
        elif key in batch.added:
            new_tasks.append((*task_changes(key[0], task), batch.added[key], item_text(task)))
        else:
            changed_tasks.append(task_changes(key[0], task))
    counts, changed = [], []
    for name, header in batch.headers.items():
        if name in batch.count_only:
            counts.append((header.open_tasks, name))
        elif name not in batch.created:
            changed.append(header_changes(header))
    journal = [_journal_row(name, entry, now) for name, entry in batch.journal]
    created = batch.created.values()
    _INSERT_WORKFLOW.write(connection, [header_row(one.header) for one in created])
    _INSERT_PLAN.write(connection, [plan_row(one) for one in created])
    _INSERT_TASK.write(connection, new_tasks)
    _SET_TASK.write(connection, changed_tasks)
    _SET_DISPATCHED.write(connection, dispatched)
    _UPDATE_SUCCEEDED.write(connection, succeeded)
    _UPDATE_COUNT.write(connection, counts)
    _UPDATE_WORKFLOW.write(connection, changed)
    _INSERT_JOURNAL.write(connection, journal)
    answers = [(now, *result_values(result), name) for name, result in batch.answers.items()]
    _ANSWER.write(connection, answers)


def _journal_row(workflow_id: str, entry: JournalEvent, now: float) -> Row:
    kind, task_id, data = encode_journal(entry)
    return workflow_id, task_id, now, kind, json_text(data)


def write_outbox(
    connection: Connection, rows: Iterable[Sequence[OutboxEntry]], finished: Iterable[str]
) -> None:
    """Insert rows into the outbox, each the entries that share it, and delete others by id."""
    _INSERT_OUTBOX.write(connection, [outbox_row(entries) for entries in rows])
    _DELETE_OUTBOX.write(connection, [(name,) for name in finished])


def write_dead_letters(connection: Connection, batch: Batch) -> None:
    """Write the changes of dead letters; they are rare, so SQLAlchemy may do it."""
    now = batch.now
    parts: list[tuple[Executable, list[dict[str, Any]]]] = [
        (_insert_dead_letters(connection), [_dead_letter_row(letter, now) for letter in batch.dead_letters]),
        (
            _RESOLVE,
            [{"key_letter": name, "key_at": now, "key_how": how} for name, how in batch.resolved.items()],
        ),
        (
            _RESOLVE_RETRIED,
            [{"key_workflow": name, "key_task": task, "key_at": now} for name, task in batch.retried],
        ),
    ]
    for statement, rows in parts:
        if rows:
            connection.execute(statement, rows)
    if any(letter.task_id is None for letter in batch.dead_letters):
        drop_oldest_messages(connection)


def _insert_dead_letters(connection: Connection) -> Executable:
    """A dead letter whose origin is stored already is not stored again."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - see _postgres

        return postgresql.insert(t.dead_letters).on_conflict_do_nothing(index_elements=["origin"])
    return sqlite.insert(t.dead_letters).on_conflict_do_nothing(index_elements=["origin"])


def _dead_letter_row(letter: DeadLetter, now: float) -> dict[str, Any]:
    return {
        "at": now,
        "stream": letter.stream,
        "workflow_id": letter.workflow_id,
        "task_id": letter.task_id,
        "reason": storable(letter.reason),
        "raw": letter.raw,
        "origin": letter.origin,
        "logs": letter.logs and storable(letter.logs),
    }

"""The statements that write a batch.

They are handed to the driver as SQL and plain values: what SQLAlchemy does for each row of an `executemany`
costs as much as the database does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, String, bindparam, delete, func, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from orchestrator import tables as t
from orchestrator.batch import Batch, DeadLetter, OutboxEntry
from orchestrator.database import sqlite_driver
from orchestrator.decision import Entry
from orchestrator.records import header_row, json_text, new_task_row, storable, task_row
from orchestrator.state import Header, TaskState

_TASK_COLUMNS = [
    column.name
    for column in t.tasks.columns
    if column.name not in {"workflow_id", "task_id", "position", "item"}
]
_WORKFLOW_COLUMNS = ["status", "reason", "result_commit", "open_tasks", "finished_at"]

_INSERT_WORKFLOW = insert(t.workflows)
_INSERT_TASK = insert(t.tasks)
_INSERT_JOURNAL = insert(t.journal).values(
    {name: bindparam(name) for name in ("workflow_id", "task_id", "at", "kind", "data")}
)
_INSERT_OUTBOX = insert(t.outbox)
_UPDATE_TASK = (
    update(t.tasks)
    .where(t.tasks.c.workflow_id == bindparam("key_workflow"), t.tasks.c.task_id == bindparam("key_task"))
    .values({name: bindparam(name) for name in _TASK_COLUMNS})
)
_UPDATE_WORKFLOW = (
    update(t.workflows)
    .where(t.workflows.c.workflow_id == bindparam("key_workflow"))
    .values({name: bindparam(name) for name in _WORKFLOW_COLUMNS})
)
_ANSWER = (
    update(t.commands)
    .where(t.commands.c.command_id == bindparam("key_command"))
    .values(applied_at=bindparam("applied_at"), answer=bindparam("answer"))
)
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
_SETTLE = delete(t.outbox).where(t.outbox.c.entry_id == bindparam("key_entry"))


def write_batch(connection: Connection, batch: Batch) -> None:
    """Write every part of the batch, one statement a table."""
    known = [key for key in batch.tasks if key[0] not in batch.created]
    new_rows = [
        new_task_row(name, task, position)
        for name, workflow in batch.created.items()
        for position, task in enumerate(workflow.tasks.values())
    ]
    new_rows += [
        new_task_row(key[0], batch.tasks[key], batch.added[key]) for key in known if key in batch.added
    ]
    changed = [_changed_task(key, batch.tasks[key]) for key in known if key not in batch.added]
    headers = [header for name, header in batch.headers.items() if name not in batch.created]
    many(connection, _INSERT_WORKFLOW, [header_row(one.header) for one in batch.created.values()])
    many(connection, _INSERT_TASK, new_rows)
    many(connection, _UPDATE_TASK, changed)
    many(connection, _UPDATE_WORKFLOW, [_changed_header(header) for header in headers])
    many(connection, _INSERT_JOURNAL, [_journal_row(name, entry, batch.now) for name, entry in batch.journal])
    many(connection, _INSERT_OUTBOX, [_outbox_row(entry) for entry in batch.outbox])
    many(connection, _SETTLE, [{"key_entry": entry_id} for entry_id in batch.settled])
    answers = batch.answers.items()
    many(
        connection,
        _ANSWER,
        [{"key_command": name, "applied_at": batch.now, "answer": text} for name, text in answers],
    )
    if batch.dead_letters or batch.resolved or batch.retried:
        _write_letters(connection, batch)


def _write_letters(connection: Connection, batch: Batch) -> None:
    """What is rare, by SQLAlchemy's own means."""
    now = batch.now
    parts: list[tuple[Executable, list[dict[str, Any]]]] = [
        (_bury(connection), [_dead_row(letter, now) for letter in batch.dead_letters]),
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


def _bury(connection: Connection) -> Executable:
    """What is delivered again after a crash is not stored again."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(t.dead_letters).on_conflict_do_nothing(index_elements=["origin"])
    return sqlite.insert(t.dead_letters).on_conflict_do_nothing(index_elements=["origin"])


def many(connection: Connection, statement: ClauseElement, rows: Sequence[dict[str, Any]]) -> None:
    """Execute once for all rows, and not at all for none. Values must be what the driver takes."""
    if not rows:
        return
    sql, values = _for_driver(statement, connection.dialect)
    given = [values(row) for row in rows]
    if driver := sqlite_driver(connection):
        driver.executemany(sql, given)
    else:
        connection.exec_driver_sql(sql, given)


@lru_cache(maxsize=64)
def _for_driver(
    statement: ClauseElement, dialect: Dialect
) -> tuple[str, Callable[[dict[str, Any]], dict[str, Any] | tuple[Any, ...]]]:
    """SQL of the dialect, and how it takes the values of a row."""
    compiled = statement.compile(dialect=dialect)
    names = getattr(compiled, "positiontup", None)
    if names is None:
        return str(compiled), dict
    return str(compiled), itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)


def _changed_task(key: tuple[str, str], task: TaskState) -> dict[str, Any]:
    row = task_row(key[0], task)
    row["key_workflow"], row["key_task"] = row.pop("workflow_id"), row.pop("task_id")
    return row


def _changed_header(header: Header) -> dict[str, Any]:
    row = header_row(header)
    return {"key_workflow": header.workflow_id, **{name: row[name] for name in _WORKFLOW_COLUMNS}}


def _journal_row(workflow_id: str, entry: Entry, now: float) -> dict[str, Any]:
    return {
        "workflow_id": workflow_id,
        "task_id": entry.task_id,
        "at": now,
        "kind": entry.kind,
        "data": json_text(entry.data),
    }


def _outbox_row(entry: OutboxEntry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "kind": entry.kind,
        "workflow_id": entry.workflow_id,
        "task_id": entry.task_id,
        "commit_name": entry.commit,
    }


def _dead_row(letter: DeadLetter, now: float) -> dict[str, Any]:
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

"""A batch: everything that one transaction of the owner writes, and the statements that write it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Executable, String, bindparam, delete, func, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from contracts.channels import SHARDS
from orchestrator import tables as t
from orchestrator.decision import Entry
from orchestrator.records import header_row, new_task_row, storable, task_row
from orchestrator.state import Header, TaskState, Workflow


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """An effect that must follow a commit: kind "dispatch" (a task) or "ref" (an accepted commit)."""

    entry_id: str
    kind: str
    workflow_id: str
    task_id: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A person's or a program's wish, appended by the command line. Applied once."""

    command_id: str
    kind: str
    workflow_id: str
    body: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be understood, or the dispatch of a task that was given up, with its bytes.

    origin: names what the letter is about; a second letter of the same origin is not stored. logs: what the
    worker logged last.
    """

    stream: str
    reason: str
    raw: bytes
    workflow_id: str | None = None
    task_id: str | None = None
    origin: str | None = None
    logs: str | None = None


@dataclass(slots=True)
class Batch:
    """Everything one transaction writes at `now`. Later versions of a row replace earlier ones.

    added: positions of tasks that are new in a known workflow. settled: outbox entries whose effect is done.
    resolved: how dead letters were worked off, by their number. retried: (workflow, task) that people gave
    fresh attempts, the task None for all: their letters are worked off by that.
    """

    now: float
    created: dict[str, Workflow] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)
    tasks: dict[tuple[str, str], TaskState] = field(default_factory=dict)
    added: dict[tuple[str, str], int] = field(default_factory=dict)
    journal: list[tuple[str, Entry]] = field(default_factory=list)
    outbox: list[OutboxEntry] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    resolved: dict[int, str] = field(default_factory=dict)
    retried: list[tuple[str, str | None]] = field(default_factory=list)
    shards: set[int] = field(default_factory=set)
    durable: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing must be written now; marks of settled effects alone can wait for the next batch.

        A touched shard is enough: what follows from it may be said only by its owner, which a commit proves.
        """
        written = self.created or self.headers or self.tasks or self.journal or self.answers
        return not (written or self.dead_letters or self.shards)


def shard_of(workflow_id: str) -> int:
    """The shard a workflow belongs to for ever."""
    return zlib.crc32(workflow_id.encode()) % SHARDS


_TASK_COLUMNS = [
    column.name
    for column in t.tasks.columns
    if column.name not in {"workflow_id", "task_id", "position", "item"}
]
_WORKFLOW_COLUMNS = ["status", "reason", "result_commit", "open_tasks", "finished_at"]

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
    many(connection, insert(t.workflows), [header_row(one.header) for one in batch.created.values()])
    many(connection, insert(t.tasks), new_rows)
    many(connection, _UPDATE_TASK, changed)
    many(connection, _UPDATE_WORKFLOW, [_changed_header(header) for header in headers])
    many(
        connection, insert(t.journal), [_journal_row(name, entry, batch.now) for name, entry in batch.journal]
    )
    many(connection, insert(t.outbox), [_outbox_row(entry) for entry in batch.outbox])
    many(connection, _SETTLE, [{"key_entry": entry_id} for entry_id in batch.settled])
    many(
        connection,
        _ANSWER,
        [
            {"key_command": name, "applied_at": batch.now, "answer": text}
            for name, text in batch.answers.items()
        ],
    )
    many(connection, _bury(connection), [_dead_row(letter, batch.now) for letter in batch.dead_letters])
    many(
        connection,
        _RESOLVE,
        [{"key_letter": name, "key_at": batch.now, "key_how": how} for name, how in batch.resolved.items()],
    )
    many(
        connection,
        _RESOLVE_RETRIED,
        [{"key_workflow": name, "key_task": task, "key_at": batch.now} for name, task in batch.retried],
    )


def _bury(connection: Connection) -> Executable:
    """What is delivered again after a crash is not stored again."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(t.dead_letters).on_conflict_do_nothing(index_elements=["origin"])
    return sqlite.insert(t.dead_letters).on_conflict_do_nothing(index_elements=["origin"])


def many(connection: Connection, statement: Executable, rows: Sequence[dict[str, Any]]) -> None:
    """Execute once for all rows, and not at all for none."""
    if rows:
        connection.execute(statement, rows)


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
        "data": entry.data,
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

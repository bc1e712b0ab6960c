"""What diagnosis reads: everything in one snapshot, or one workflow and its surroundings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from contracts.messages.journal import (
    JournalEvent,
    TaskDelayed,
    TaskDispatched,
    TaskLost,
    TaskPassedOn,
    TaskRetrying,
    TaskSucceeded,
    UnknownEvent,
)
from contracts.messages.journal_rows import decode_journal, kind_of
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.scheduling.batch import OutboxEntry
from orchestrator.storage import tables as t
from orchestrator.storage.command_rows import read_unapplied_commands
from orchestrator.storage.loading import read_workflows
from orchestrator.storage.outbox import read_outbox

_DELAYS = [kind_of(event) for event in (TaskRetrying, TaskDelayed, TaskLost, TaskPassedOn)]


class Pulse(NamedTuple):
    """Whether orchestrators live."""

    renewals: int
    """Grows while any orchestrator renews."""
    registered: bool
    """Whether orchestrators register here at all."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """A workflow and what is around it."""

    workflows: Mapping[str, Workflow]
    """The workflow itself, and every one in which a task is dispatched."""
    slots: Mapping[str, int]
    """Slots of the workers that have not left, free or not, by request stream."""
    delays: Mapping[str, JournalEvent | UnknownEvent]
    """The event that put a task off or passed it on last, by task."""
    commands: tuple[tuple[str, float], ...]
    """Kind and time, in seconds since 1970, of the commands that were not applied yet."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that invariants are checked on. Tasks are named by (workflow id, task id)."""

    workflows: Mapping[str, Workflow]
    succeeded: Mapping[tuple[str, str], list[int]]
    """Sequences of each task's `task.succeeded` entries."""
    dispatched: Mapping[tuple[str, str], int]
    """The sequence of each task's first dispatch."""
    outbox: tuple[OutboxEntry, ...]
    renewals: int


def read_pulse(connection: Connection) -> Pulse:
    """How often orchestrators have renewed."""
    shards = connection.execute(select(func.sum(t.shards.c.renewals))).scalar() or 0
    row = connection.execute(select(func.sum(t.orchestrators.c.renewals), func.count())).one()
    return Pulse(int(shards) + int(row[0] or 0), row[1] > 0)


def read_surroundings(connection: Connection, workflow_id: str) -> Surroundings:
    """A workflow and what is around it; about as many workflows as tasks can be dispatched at once."""
    out = select(t.tasks.c.workflow_id).where(t.tasks.c.status == TaskStatus.DISPATCHED.value)
    names = {workflow_id, *connection.execute(out).scalars()}
    return Surroundings(
        workflows={one.header.workflow_id: one for one in read_workflows(connection, sorted(names))},
        slots=_read_slots(connection),
        delays=_read_delays(connection, workflow_id),
        commands=read_unapplied_commands(connection, workflow_id),
    )


def _read_slots(connection: Connection) -> Counter[str]:
    query = select(t.workers.c.streams, t.workers.c.slots).where(t.workers.c.left_at.is_(None))
    slots: Counter[str] = Counter()
    for streams, count in connection.execute(query):
        slots.update(dict.fromkeys(streams, count))
    return slots


def _read_delays(connection: Connection, workflow_id: str) -> dict[str, JournalEvent | UnknownEvent]:
    j = t.journal.c
    query = select(j.task_id, j.kind, j.data).where(j.workflow_id == workflow_id, j.kind.in_(_DELAYS))
    rows = connection.execute(query.order_by(j.sequence))
    return {task_id: decode_journal(kind, task_id, data) for task_id, kind, data in rows}


def read_snapshot(connection: Connection) -> Snapshot:
    """Everything, as the caller's transaction sees it."""
    names = connection.execute(select(t.workflows.c.workflow_id)).scalars().all()
    succeeded, dispatched = _read_progress(connection)
    return Snapshot(
        workflows={one.header.workflow_id: one for one in read_workflows(connection, names)},
        succeeded=succeeded,
        dispatched=dispatched,
        outbox=tuple(entry for row in read_outbox(connection) for entry in row),
        renewals=read_pulse(connection).renewals,
    )


def _read_progress(
    connection: Connection,
) -> tuple[dict[tuple[str, str], list[int]], dict[tuple[str, str], int]]:
    """Snapshot.succeeded and Snapshot.dispatched."""
    j = t.journal.c
    succeeded: dict[tuple[str, str], list[int]] = {}
    dispatched: dict[tuple[str, str], int] = {}
    kinds = (kind_of(TaskSucceeded), kind_of(TaskDispatched))
    columns = (j.workflow_id, j.task_id, j.kind, j.sequence)
    entries = select(*columns).where(j.kind.in_(kinds), j.task_id.is_not(None)).order_by(j.sequence)
    for workflow_id, task_id, kind, sequence in connection.execute(entries):
        if kind == kind_of(TaskSucceeded):
            succeeded.setdefault((workflow_id, task_id), []).append(sequence)
        else:
            dispatched.setdefault((workflow_id, task_id), sequence)
    return succeeded, dispatched

"""What clients read of the database: workflows, the journal, and the processes that serve it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, exists, func, or_, select, union

from contracts.messages.journal import (
    JournalEvent,
    UnknownEvent,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowOffered,
    WorkflowRetried,
)
from contracts.messages.journal_rows import decode_journal, kind_of
from orchestrator.core.state import Header, TaskStatus, Workflow, WorkflowStatus
from orchestrator.storage import tables as t
from orchestrator.storage.loading import read_sizes, read_workflows
from orchestrator.storage.rows import read_header

_FOR_PEOPLE = (TaskStatus.APPROVAL, TaskStatus.ANSWER, TaskStatus.BUDGET)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing that happened."""

    sequence: int
    """Grows with each entry; gaps are normal."""
    workflow_id: str
    task_id: str | None
    at: float
    """Seconds since 1970."""
    event: JournalEvent | UnknownEvent
    kind: str
    """Of the event, as it is stored."""
    data: dict[str, Any]
    """Of the event, as it is stored."""


@dataclass(frozen=True, slots=True)
class WorkflowOverview:
    """A workflow without its tasks."""

    header: Header
    task_count: int


@dataclass(frozen=True, slots=True)
class OrchestratorView:
    """An orchestrator that started and was not found dead."""

    orchestrator_id: str
    host: str
    pid: int
    started_at: float
    """Seconds since 1970."""
    renewals: int
    """Grows while the orchestrator lives."""
    note: str
    """What it waits for; empty when it waits for nothing."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker as an orchestrator last recorded it."""

    worker_id: str
    host: str
    pid: int
    roles: tuple[str, ...]
    streams: tuple[str, ...]
    slots: int
    joined_at: float
    """Seconds since 1970."""


def read_overviews(connection: Connection, limit: int) -> list[WorkflowOverview]:
    """The newest workflows, newest first."""
    newest = select(t.workflows).order_by(t.workflows.c.created_at.desc()).limit(limit)
    headers = [read_header(row) for row in connection.execute(newest).mappings()]
    sizes = read_sizes(connection, [header.workflow_id for header in headers])
    return [WorkflowOverview(header, sizes[header.workflow_id]) for header in headers]


def read_waiting(connection: Connection, limit: int) -> list[Workflow]:
    """The newest `limit` workflows in which a task waits for a person, newest first.

    What follows from a plan is not stored: those whose plan or policy asks for approvals are read.
    """
    w, p, r = t.workflows.c, t.plans.c, t.tasks.c
    asking = select(p.workflow_id).where(p.definitions.contains('"requires_approval":true'))
    waits = exists().where(r.workflow_id == w.workflow_id, r.status.in_([one.value for one in _FOR_PEOPLE]))
    query = select(w.workflow_id).where(
        w.status == WorkflowStatus.RUNNING.value,
        or_(w.workflow_id.in_(asking), w.approvals.is_not(None), waits),
    )
    names = list(connection.execute(query.order_by(w.created_at.desc())).scalars())
    waiting = (
        workflow
        for workflow in read_workflows(connection, names)
        if any(task.status in _FOR_PEOPLE for task in workflow.tasks.values())
    )
    return list(islice(waiting, limit))


def find_workflow_ids(connection: Connection, part: str | None, limit: int) -> list[str]:
    """Ids that begin or, after these, end with `part`, shortest first; the newest when it is None or empty.

    Includes workflows that are submitted and not created yet.
    """
    w, c = t.workflows.c, t.commands.c
    queued = select(c.workflow_id, c.created_at).where(c.kind == "submit", c.applied_at.is_(None))
    known = union(select(w.workflow_id, w.created_at), queued).subquery().c
    query = select(known.workflow_id).order_by(known.created_at.desc())
    if part:
        begins = known.workflow_id.startswith(part, autoescape=True)
        ends = known.workflow_id.endswith(part, autoescape=True)
        shortest = func.length(known.workflow_id)
        query = query.where(or_(begins, ends)).order_by(None).order_by(begins.desc(), shortest)
    return list(connection.execute(query.limit(limit)).scalars())


def read_journal(
    connection: Connection, workflow_id: str | None, after: int, limit: int
) -> list[JournalEntry]:
    """Entries with a sequence above `after`, oldest first; of one workflow, or of all."""
    c = t.journal.c
    columns = (c.sequence, c.workflow_id, c.task_id, c.at, c.kind, c.data)
    query = select(*columns).where(c.sequence > after).order_by(c.sequence).limit(limit)
    if workflow_id:
        query = query.where(c.workflow_id == workflow_id)
    return [
        JournalEntry(sequence, name, task_id, at, decode_journal(kind, task_id, data), kind, data)
        for sequence, name, task_id, at, kind, data in connection.execute(query)
    ]


def read_last_sequence(connection: Connection) -> int:
    """The sequence of the newest journal entry of all; 0 without any."""
    return connection.execute(select(func.max(t.journal.c.sequence))).scalar() or 0


def read_offer(connection: Connection, workflow_id: str) -> WorkflowOffered | None:
    """What a failed workflow offers; None before that is known, and after a retry."""
    c = t.journal.c
    kinds = [kind_of(one) for one in (WorkflowOffered, WorkflowFailed, WorkflowRetried, WorkflowCompleted)]
    query = (
        select(c.kind, c.task_id, c.data)
        .where(c.workflow_id == workflow_id, c.kind.in_(kinds))
        .order_by(c.sequence.desc())
    )
    newest = None
    for row in connection.execute(query):
        event = decode_journal(*row)
        if not isinstance(event, WorkflowOffered):
            # One that was made before a retry may be recorded after it.
            return newest if isinstance(event, WorkflowFailed) else None
        newest = newest or event
    return None


def read_newest_sequences(connection: Connection, workflow_ids: Collection[str]) -> dict[str, int]:
    """The newest journal entry of each of these workflows; a workflow without entries is left out.

    Asked for each workflow and not for the whole journal: with several orchestrators, an entry may become
    visible after one that has a higher sequence, but not within one workflow.
    """
    w, j = t.workflows.c, t.journal.c
    newest = select(func.max(j.sequence)).where(j.workflow_id == w.workflow_id).scalar_subquery()
    query = select(w.workflow_id, newest).where(w.workflow_id.in_(workflow_ids))
    return {name: sequence for name, sequence in connection.execute(query) if sequence is not None}


def read_orchestrators(connection: Connection) -> list[OrchestratorView]:
    """Orchestrators that started and were not found dead, oldest first."""
    c = t.orchestrators.c
    columns = (c.orchestrator_id, c.host, c.pid, c.started_at, c.renewals, c.note)
    return [OrchestratorView(*row) for row in connection.execute(select(*columns).order_by(c.started_at))]


def read_workers(connection: Connection) -> list[WorkerView]:
    """Workers that joined and have not left, oldest first."""
    c = t.workers.c
    query = select(t.workers).where(c.left_at.is_(None)).order_by(c.joined_at)
    return [
        WorkerView(
            row.worker_id,
            row.host,
            row.pid,
            tuple(row.roles),
            tuple(row.streams),
            row.slots,
            row.joined_at,
        )
        for row in connection.execute(query)
    ]

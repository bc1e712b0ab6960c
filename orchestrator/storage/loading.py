"""Reads workflows: the plan, the stored changes of its tasks, and what follows from both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from orchestrator.core.approvals.releasing import release
from orchestrator.core.state import Header, TaskState, Workflow
from orchestrator.storage import tables as t
from orchestrator.storage.rows import read_header, read_plan, read_task

_AT_ONCE = 250


def read_sizes(connection: Connection, names: Sequence[str]) -> Counter[str]:
    """Count the tasks of these workflows."""
    p, r = t.plans.c, t.tasks.c
    planned = select(p.workflow_id, p.size).where(p.workflow_id.in_(names))
    added = select(r.workflow_id, func.count()).where(r.workflow_id.in_(names), r.item != "")
    sizes: Counter[str] = Counter()
    for query in (planned, added.group_by(r.workflow_id)):
        for name, count in connection.execute(query):
            sizes[name] += count
    return sizes


def read_workflow(connection: Connection, workflow_id: str) -> Workflow | None:
    """Read one workflow as it was last committed."""
    return next(read_workflows(connection, [workflow_id]), None)


def read_workflows(
    connection: Connection, names: Sequence[str], *which: ColumnElement[bool]
) -> Iterator[Workflow]:
    """Read those of these workflows that are stored, in this order, in the caller's transaction.

    `which` are conditions on the workflows table.
    """
    for start in range(0, len(names), _AT_ONCE):
        yield from _read_some(connection, names[start : start + _AT_ONCE], which)


def _read_some(
    connection: Connection, names: Sequence[str], which: Sequence[ColumnElement[bool]]
) -> Iterator[Workflow]:
    w, p, r = t.workflows.c, t.plans.c, t.tasks.c
    found = connection.execute(select(t.workflows).where(w.workflow_id.in_(names), *which)).mappings()
    headers = {row["workflow_id"]: read_header(row) for row in found}
    chosen = [name for name in names if name in headers]
    planned = select(p.workflow_id, p.definitions).where(p.workflow_id.in_(chosen))
    plans = {name: read_plan(text) for name, text in connection.execute(planned)}
    touched = select(t.tasks).where(r.workflow_id.in_(chosen)).order_by(r.position)
    rows: dict[str, list[RowMapping]] = {}
    for row in connection.execute(touched).mappings():
        rows.setdefault(row["workflow_id"], []).append(row)
    for name in chosen:
        yield _assembled(headers[name], plans.get(name, ()), rows.get(name, ()))


def _assembled(header: Header, planned: Iterable[TaskState], rows: Iterable[RowMapping]) -> Workflow:
    tasks = {task.task_id: task for task in planned}
    for row in rows:
        name = row["task_id"]
        tasks[name] = read_task(row, tasks.get(name))
    workflow = Workflow.load(header, tasks.values())
    workflow.evolve(None, release(workflow, workflow.tasks))
    return workflow

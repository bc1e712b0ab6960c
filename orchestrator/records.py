"""Between rows and versions."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from pydantic_core import to_json
from sqlalchemy import RowMapping

from contracts.base import Model
from contracts.events import TaskError, TestSummary, Usage
from contracts.todo import TodoItem
from orchestrator.state import NO_USAGE, Header, TaskState, TaskStatus, WorkflowStatus

Row: TypeAlias = tuple[Any, ...]
"""The values of some columns, as drivers take them."""


class StoredOutcome(Model):
    """The part of a task's row that only people and reports read."""

    summary: str = ""
    tests: TestSummary | None = None
    backend: str = ""
    error: TaskError | None = None
    usage: Usage = Usage()
    seconds: float = 0.0


TASK_KEYS = ("workflow_id", "task_id")
TASK_CHANGES = (
    *("dependencies", "status", "cycle", "attempt", "failures", "crashes", "outages", "suspect"),
    *("dispatch_id", "dispatched_at", "not_before", "parents", "approved_hash", "commit_name", "verdict"),
    "outcome",
)
"""What of a task changes."""
FREED_CHANGES = ("status",)
"""What of a task changes when it need wait for no other any more."""
DISPATCH_CHANGES = ("status", "attempt", "dispatch_id", "dispatched_at", "parents")
"""What of a task a dispatch changes."""
HEADER_CHANGES = ("status", "reason", "result_commit", "open_tasks", "finished_at")


def task_changes(workflow_id: str, task: TaskState) -> Row:
    """The values of TASK_CHANGES and TASK_KEYS."""
    return (
        _names(task.dependencies),
        task.status.value,
        task.cycle,
        task.attempt,
        task.failures,
        task.crashes,
        task.outages,
        task.suspect,
        task.dispatch_id,
        task.dispatched_at,
        task.not_before,
        _names(task.parents),
        task.approved_hash,
        task.commit,
        task.verdict,
        _stored_outcome(task),
        workflow_id,
        task.task_id,
    )


def dispatch_changes(workflow_id: str, task: TaskState) -> Row:
    """The values of DISPATCH_CHANGES and TASK_KEYS."""
    parents = _names(task.parents)
    return (
        task.status.value,
        task.attempt,
        task.dispatch_id,
        task.dispatched_at,
        parents,
        workflow_id,
        task.task_id,
    )


def item_text(task: TaskState) -> str:
    """What of a task never changes."""
    return task.item.model_dump_json(exclude_defaults=True)


def json_text(value: Any) -> str:
    """JSON of plain values and models, as JSON columns take it from a driver."""
    try:
        return to_json(value).decode()
    except ValueError:
        return json.dumps(value)  # half a surrogate pair, which has no UTF-8


def _names(names: tuple[str, ...]) -> str:
    return json_text(names) if names else "[]"


def _stored_outcome(task: TaskState) -> str:
    """What StoredOutcome reads; what is as by default is left out."""
    found: dict[str, Any] = {}
    if task.summary:
        found["summary"] = task.summary
    if task.tests is not None:
        found["tests"] = task.tests
    if task.backend:
        found["backend"] = task.backend
    if task.error is not None:
        found["error"] = task.error
    if task.usage is not NO_USAGE:
        found["usage"] = task.usage
    if task.seconds:
        found["seconds"] = task.seconds
    return json_text(found) if found else "{}"


def read_task(row: RowMapping) -> TaskState:
    """The version that a row holds."""
    outcome = StoredOutcome.model_validate_json(row["outcome"])
    return TaskState(
        item=TodoItem.model_validate_json(row["item"]),
        dependencies=tuple(row["dependencies"]),
        status=TaskStatus(row["status"]),
        cycle=row["cycle"],
        attempt=row["attempt"],
        failures=row["failures"],
        crashes=row["crashes"],
        outages=row["outages"],
        suspect=row["suspect"],
        dispatch_id=row["dispatch_id"],
        dispatched_at=row["dispatched_at"],
        not_before=row["not_before"],
        parents=tuple(row["parents"]),
        approved_hash=row["approved_hash"],
        commit=row["commit_name"],
        verdict=row["verdict"],
        summary=outcome.summary,
        tests=outcome.tests,
        backend=outcome.backend,
        error=outcome.error,
        usage=outcome.usage,
        seconds=outcome.seconds,
    )


def header_row(header: Header) -> Row:
    """A workflow's row, in the order of Header's fields."""
    return header._replace(request=storable(header.request), **_header_texts(header))


def header_changes(header: Header) -> Row:
    """The values of HEADER_CHANGES and the key."""
    stored = header._replace(**_header_texts(header))
    return (*(getattr(stored, name) for name in HEADER_CHANGES), header.workflow_id)


def _header_texts(header: Header) -> dict[str, Any]:
    return {"status": header.status.value, "reason": storable(header.reason)}


def storable(text: str) -> str:
    """PostgreSQL's text knows no NUL."""
    return text.replace("\0", "\ufffd")


def read_header(row: RowMapping) -> Header:
    """The version that a row holds."""
    return Header(**{**row, "status": WorkflowStatus(row["status"])})

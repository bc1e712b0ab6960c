"""Between rows and versions."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_json
from sqlalchemy import RowMapping

from contracts.base import Model
from contracts.events import TaskError, TestSummary, Usage
from contracts.todo import TodoItem
from orchestrator.state import NO_USAGE, Header, TaskState, TaskStatus, WorkflowStatus


class StoredOutcome(Model):
    """The part of a task's row that only people and reports read."""

    summary: str = ""
    tests: TestSummary | None = None
    backend: str = ""
    error: TaskError | None = None
    usage: Usage = Usage()
    seconds: float = 0.0


def task_row(workflow_id: str, task: TaskState) -> dict[str, Any]:
    """What of a task changes, by column, as drivers take it."""
    return {
        "workflow_id": workflow_id,
        "task_id": task.task_id,
        "dependencies": _names(task.dependencies),
        "status": task.status.value,
        "cycle": task.cycle,
        "attempt": task.attempt,
        "failures": task.failures,
        "crashes": task.crashes,
        "outages": task.outages,
        "suspect": task.suspect,
        "dispatch_id": task.dispatch_id,
        "dispatched_at": task.dispatched_at,
        "not_before": task.not_before,
        "parents": _names(task.parents),
        "approved_hash": task.approved_hash,
        "commit_name": task.commit,
        "verdict": task.verdict,
        "outcome": _stored_outcome(task),
    }


def new_task_row(workflow_id: str, task: TaskState, position: int) -> dict[str, Any]:
    """A whole row, with what never changes."""
    return {
        **task_row(workflow_id, task),
        "position": position,
        "item": task.item.model_dump_json(exclude_defaults=True),
    }


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


def header_row(header: Header) -> dict[str, Any]:
    """A workflow's row."""
    return {
        "workflow_id": header.workflow_id,
        "todo_list_id": header.todo_list_id,
        "request": storable(header.request),
        "shard": header.shard,
        "status": header.status.value,
        "reason": storable(header.reason),
        "base_commit": header.base_commit,
        "result_commit": header.result_commit,
        "open_tasks": header.open_tasks,
        "created_at": header.created_at,
        "finished_at": header.finished_at,
    }


def storable(text: str) -> str:
    """PostgreSQL's text knows no NUL."""
    return text.replace("\0", "\ufffd")


def read_header(row: RowMapping) -> Header:
    """The version that a row holds."""
    return Header(**{**row, "status": WorkflowStatus(row["status"])})

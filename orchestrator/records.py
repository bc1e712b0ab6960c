"""Between rows and versions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from contracts.base import Model
from contracts.events import TaskError, TestSummary, Usage
from contracts.todo import TodoItem
from orchestrator.state import Header, TaskState, TaskStatus, WorkflowStatus


class StoredOutcome(Model):
    """The part of a task's row that only people and reports read."""

    summary: str = ""
    tests: TestSummary | None = None
    backend: str = ""
    error: TaskError | None = None
    usage: Usage = Usage()
    seconds: float = 0.0


_NOTHING_YET = StoredOutcome().model_dump_json(exclude_defaults=True)


def task_row(workflow_id: str, task: TaskState) -> dict[str, Any]:
    """What of a task changes, keyed as UPDATE statements name it."""
    return {
        "workflow_id": workflow_id,
        "task_id": task.task_id,
        "dependencies": list(task.dependencies),
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
        "parents": list(task.parents),
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


def _stored_outcome(task: TaskState) -> str:
    if task.attempt == 0:
        return _NOTHING_YET
    return StoredOutcome(
        summary=task.summary,
        tests=task.tests,
        backend=task.backend,
        error=task.error,
        usage=task.usage,
        seconds=task.seconds,
    ).model_dump_json(exclude_defaults=True)


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

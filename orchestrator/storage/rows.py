"""Converts between rows and the versions of workflows and tasks."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy import RowMapping

from contracts.base.model import Model
from contracts.documents.approval_policy import ApprovalPolicy
from contracts.documents.repository_settings import RepositorySettings
from contracts.documents.todo_list import TodoItem
from contracts.messages.approvals import Approval, WantedAction
from contracts.messages.budget import NOTHING, Amount, Budget, SpendingLimits
from contracts.messages.payloads import ReviewSummary, TaskError, TestSummary, Usage
from contracts.messages.suspension import Answered, Question
from orchestrator.core.state import NO_USAGE, Header, TaskState, TaskStatus, Workflow, WorkflowStatus

Row: TypeAlias = tuple[Any, ...]
"""The values of some columns, as drivers accept them."""


class StoredOutcome(Model):
    """The part of a task's row that no query needs."""

    summary: str = ""
    tests: TestSummary | None = None
    review: ReviewSummary | None = None
    backend: str = ""
    error: TaskError | None = None
    usage: Usage = Usage()
    seconds: float = 0.0
    question: Question | None = None
    answers: tuple[Answered, ...] = ()
    allowance: SpendingLimits | None = None
    charged: Amount = NOTHING
    unknown: tuple[tuple[str, Amount], ...] = ()
    needs: Amount | None = None
    approval: Approval | None = None
    wanted: WantedAction | None = None
    granted: Approval | None = None
    refused: tuple[tuple[str, str], ...] = ()


TASK_KEYS = ("workflow_id", "task_id")
TASK_CHANGES = (
    *("dependencies", "status", "cycle", "attempt", "failures", "crashes", "outages", "suspect"),
    *("dispatch_id", "dispatched_at", "not_before", "parents", "approved_hash", "commit_name", "verdict"),
    "outcome",
)
"""The columns of a task that change."""
DISPATCH_CHANGES = ("dependencies", "status", "attempt", "dispatch_id", "dispatched_at", "parents")
"""The columns that a dispatch changes; the dependencies are for a task that has no row yet."""
UNTOUCHED = {
    **dict.fromkeys(("cycle", "failures", "crashes", "outages"), "0"),
    **{"suspect": "false", "not_before": "0.0", "outcome": "'{}'"},
}
"""In SQL: the other columns of a task that is dispatched for the first time."""
SUCCESS_CHANGES = ("status", "suspect", "commit_name", "verdict", "outcome")
"""The columns that change when the current dispatch succeeds."""
HEADER_CHANGES = ("status", "reason", "result_commit", "open_tasks", "finished_at", "budget")


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
        task.approval.action_hash if task.approval else None,
        task.commit,
        task.verdict,
        _stored_outcome(task),
        workflow_id,
        task.task_id,
    )


def dispatch_changes(workflow_id: str, task: TaskState) -> Row:
    """The values of DISPATCH_CHANGES and TASK_KEYS."""
    return (
        _names(task.dependencies),
        task.status.value,
        task.attempt,
        task.dispatch_id,
        task.dispatched_at,
        _names(task.parents),
        workflow_id,
        task.task_id,
    )


def success_changes(workflow_id: str, task: TaskState) -> Row:
    """The values of SUCCESS_CHANGES and TASK_KEYS."""
    outcome = _stored_outcome(task)
    return (task.status.value, task.suspect, task.commit, task.verdict, outcome, workflow_id, task.task_id)


_OF_PEOPLE = ("question", "answers", "approval", "wanted", "granted", "refused")
"""Fields that people's decisions fill."""
_ITEMS: TypeAdapter[tuple[TodoItem, ...]] = TypeAdapter(tuple[TodoItem, ...])


def plan_row(workflow: Workflow) -> Row:
    """The values of the plans table for a new workflow."""
    items = tuple(task.item for task in workflow.tasks.values())
    return workflow.header.workflow_id, len(items), _ITEMS.dump_json(items, exclude_defaults=True).decode()


def read_plan(text: str) -> list[TaskState]:
    """Read the tasks of a plan, to which nothing has happened yet."""
    return [TaskState(item, item.dependencies) for item in _ITEMS.validate_json(text)]


def item_text(task: TaskState) -> str:
    """The JSON of the part of a task that never changes."""
    return task.item.model_dump_json(exclude_defaults=True)


def json_text(value: Any) -> str:
    """JSON of plain values and models, as drivers accept it for JSON columns."""
    try:
        return to_json(value).decode()
    except ValueError:
        return json.dumps(value)  # half a surrogate pair, which has no UTF-8


def _names(names: tuple[str, ...]) -> str:
    return json_text(names) if names else "[]"


def _stored_outcome(task: TaskState) -> str:
    """The JSON of a StoredOutcome, without the fields that are at their default."""
    found = _spending(task)
    if task.summary:
        found["summary"] = task.summary
    if task.tests is not None:
        found["tests"] = task.tests
    if task.review is not None:
        found["review"] = task.review
    if task.backend:
        found["backend"] = task.backend
    if task.error is not None:
        found["error"] = task.error
    if task.usage is not NO_USAGE:
        found["usage"] = task.usage
    if task.seconds:
        found["seconds"] = task.seconds
    found |= {name: given for name in _OF_PEOPLE if (given := getattr(task, name))}
    return json_text(found) if found else "{}"


def _spending(task: TaskState) -> dict[str, Any]:
    """The fields that only a budget fills."""
    found: dict[str, Any] = {}
    if task.allowance is not None:
        found["allowance"] = task.allowance
    if task.charged is not NOTHING:
        found["charged"] = task.charged
    if task.unknown:
        found["unknown"] = task.unknown
    if task.needs is not None:
        found["needs"] = task.needs
    return found


def read_task(row: RowMapping, planned: TaskState | None) -> TaskState:
    """Read the version of a task from its row, and from the plan if the plan has the task."""
    outcome = StoredOutcome.model_validate_json(row["outcome"])
    return TaskState(
        item=planned.item if planned else TodoItem.model_validate_json(row["item"]),
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
        commit=row["commit_name"],
        verdict=row["verdict"],
        summary=outcome.summary,
        tests=outcome.tests,
        review=outcome.review,
        backend=outcome.backend,
        error=outcome.error,
        usage=outcome.usage,
        seconds=outcome.seconds,
        question=outcome.question,
        answers=outcome.answers,
        allowance=outcome.allowance,
        charged=outcome.charged,
        unknown=outcome.unknown,
        needs=outcome.needs,
        approval=outcome.approval,
        wanted=outcome.wanted,
        granted=outcome.granted,
        refused=outcome.refused,
    )


def header_row(header: Header) -> Row:
    """The values of a workflow's row, in the order of Header's fields."""
    return tuple(
        value.model_dump_json(exclude_defaults=True) if isinstance(value, Model) else value
        for value in header._replace(request=storable(header.request), **_header_texts(header))
    )


def header_changes(header: Header) -> Row:
    """The values of HEADER_CHANGES and the key."""
    stored = header._replace(**_header_texts(header))
    return (*(getattr(stored, name) for name in HEADER_CHANGES), header.workflow_id)


def _header_texts(header: Header) -> dict[str, Any]:
    budget = header.budget.model_dump_json(exclude_defaults=True) if header.budget else None
    return {"status": header.status.value, "reason": storable(header.reason), "budget": budget}


def storable(text: str) -> str:
    """Replace NUL, which PostgreSQL's text cannot hold."""
    return text.replace("\0", "\ufffd")


def read_header(row: RowMapping) -> Header:
    """Read the version of a header from its row."""
    said = row["repository"]
    repository = RepositorySettings.model_validate_json(said) if said else None
    budget = Budget.model_validate_json(row["budget"]) if row["budget"] else None
    rules = ApprovalPolicy.model_validate_json(row["approvals"]) if row["approvals"] else None
    status = WorkflowStatus(row["status"])
    read = {"status": status, "repository": repository, "budget": budget, "approvals": rules}
    return Header(**{**row, **read})

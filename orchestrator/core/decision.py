"""What an event leads to, and the steps that several events share."""

from __future__ import annotations

from typing import NamedTuple

from contracts.messages.journal import (
    JournalEvent,
    TaskDeadLettered,
    TaskFailed,
    WorkflowCompleted,
    WorkflowFailed,
    WorkflowMerging,
)
from orchestrator.core.audit.entries import AuditEntry
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow, WorkflowStatus

_WITHOUT_SUCCESS = frozenset({TaskStatus.FAILED, TaskStatus.DEAD, TaskStatus.CANCELLED})


class Decision(NamedTuple):
    """What an event leads to. An event that was not accepted has `refused` and changes nothing."""

    tasks: tuple[TaskState, ...] = ()
    """New versions of the tasks that change."""
    header: Header | None = None
    """The new version of the header, when it changes."""
    journal: tuple[JournalEvent, ...] = ()
    recalls: tuple[str, ...] = ()
    """Dispatches that workers should stop."""
    refused: str | None = None
    """Why the event was not accepted."""
    audit: tuple[AuditEntry, ...] = ()
    """What the audit log is to say of it, in the chain of the workflow's shard."""


def end_badly(workflow: Workflow, task: TaskState, status: TaskStatus, now: float) -> Decision:
    """End a task without success and block its descendants; everything else continues."""
    ended = task._replace(status=status, dispatch_id=None)
    blocked = [
        workflow.tasks[name]._replace(status=TaskStatus.BLOCKED)
        for name in descendants(workflow, [task.task_id])
        if not workflow.tasks[name].status.terminal
    ]
    error = task.error
    kind = TaskDeadLettered if status is TaskStatus.DEAD else TaskFailed
    entry = kind(task.task_id, task.attempt, error.code if error else "", error.message if error else "")
    return conclude(workflow, [ended, *blocked], [entry], now)


def descendants(workflow: Workflow, names: list[str]) -> list[str]:
    """The tasks that depend on one of `names`, directly or indirectly."""
    seen = set(names)
    queue = list(names)
    found = []
    while queue:
        for name in workflow.dependents[queue.pop()]:
            if name not in seen:
                seen.add(name)
                found.append(name)
                queue.append(name)
    return found


def conclude(workflow: Workflow, tasks: list[TaskState], journal: list[JournalEvent], now: float) -> Decision:
    """Decide on these versions, and end the workflow when they leave no task open.

    A workflow without any commit is completed at once; there is nothing to merge.
    """
    header = workflow.header
    open_tasks = header.open_tasks
    for task in tasks:
        old = workflow.tasks.get(task.task_id)
        was_open = old is not None and not old.status.terminal
        if was_open and task.status.terminal:
            open_tasks -= 1
        elif old is None and not task.status.terminal:
            open_tasks += 1
    if open_tasks == header.open_tasks:
        return Decision(tuple(tasks), None, tuple(journal))
    if open_tasks > 0:
        return Decision(tuple(tasks), header._replace(open_tasks=open_tasks), tuple(journal))
    newest = {**workflow.tasks, **{task.task_id: task for task in tasks}}
    bad = [task for task in newest.values() if task.status in _WITHOUT_SUCCESS]
    if not bad and not header.base_commit and not any(task.commit for task in newest.values()):
        header = header._replace(open_tasks=0, status=WorkflowStatus.COMPLETED, finished_at=now)
        return Decision(tuple(tasks), header, (*journal, WorkflowCompleted(None)))
    if not bad:
        header = header._replace(open_tasks=0, status=WorkflowStatus.MERGING)
        return Decision(tuple(tasks), header, (*journal, WorkflowMerging()))
    reason = "; ".join(
        f"{task.task_id}: {task.error.message if task.error else task.status}" for task in bad[:5]
    )
    header = header._replace(open_tasks=0, status=WorkflowStatus.FAILED, reason=reason, finished_at=now)
    return Decision(tuple(tasks), header, (*journal, WorkflowFailed(reason)))

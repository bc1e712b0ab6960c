"""Events from operators: cancel, retry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from contracts.messages.journal import (
    JournalEvent,
    TaskSucceeded,
    TaskToBeFixed,
    WorkflowCancelled,
    WorkflowRetried,
)
from orchestrator.core.approvals.deciding import is_denied
from orchestrator.core.approvals.releasing import release
from orchestrator.core.budgets import settled
from orchestrator.core.cycles import debug_cycle
from orchestrator.core.decision import Decision, descendants
from orchestrator.core.events import Cancel, Retry
from orchestrator.core.state import TaskState, TaskStatus, Workflow, WorkflowStatus


def cancel(workflow: Workflow, event: Cancel, now: float) -> Decision:
    """End every task that has not ended, and the workflow."""
    if workflow.header.status.terminal:
        return Decision(refused=f"workflow is already {workflow.header.status}")
    stopped = [task for task in workflow.tasks.values() if not task.status.terminal]
    recalls = tuple(task.dispatch_id for task in stopped if task.dispatch_id)
    header = workflow.header._replace(
        status=WorkflowStatus.CANCELLED,
        reason=f"cancelled by {event.person}",
        open_tasks=0,
        finished_at=now,
    )
    tasks = tuple(
        settled(task, None)._replace(
            status=TaskStatus.CANCELLED, dispatch_id=None, question=None, wanted=None
        )
        for task in stopped
    )
    return Decision(tasks, header, (WorkflowCancelled(event.person),), recalls)


def retry(workflow: Workflow, event: Retry, now: float) -> Decision:
    """Reopen failed tasks with fresh attempts; without any, repeat the merge.

    With `fresh`, a task that said "failed" is not repeated: it has found something, and a fix is added.
    """
    wanted = [workflow.tasks.get(event.task_id)] if event.task_id else list(workflow.tasks.values())
    failed = [
        task
        for task in wanted
        if task and task.status in {TaskStatus.FAILED, TaskStatus.DEAD, TaskStatus.CANCELLED}
    ]
    if denied := [task.task_id for task in failed if is_denied(task)]:
        failed = [task for task in failed if not is_denied(task)]
        if not failed:
            return Decision(
                refused=f"{', '.join(denied)}: rejected by a person, which is final; submit another plan"
            )
    if not failed and workflow.header.status is WorkflowStatus.FAILED and not event.task_id:
        header = workflow.header._replace(status=WorkflowStatus.MERGING, reason="", finished_at=None)
        return Decision(header=header, journal=(WorkflowRetried(None, event.person),))
    if not failed:
        return Decision(refused="only failed, cancelled and dead-lettered tasks can be retried; none is here")
    fixes = _with_fixes(workflow, failed) if event.fresh else _Fixes(workflow)
    added = fixes.tasks.keys() - workflow.tasks.keys()
    workflow = fixes.workflow
    reopened = [task for task in _reopen(workflow, failed) if task.status is not TaskStatus.SUCCEEDED]
    if not reopened and not fixes.tasks:
        return Decision(refused="what these tasks depend on has not succeeded; retry that first")
    fresh = {task.task_id: _as_new(task) for task in reopened}
    for task in release(workflow, fresh, versions=fresh):
        fresh[task.task_id] = task
    header = workflow.header._replace(
        status=WorkflowStatus.RUNNING,
        reason="",
        finished_at=None,
        open_tasks=sum(not task.status.terminal for task in {**workflow.tasks, **fresh}.values()),
    )
    retried = WorkflowRetried(event.task_id, event.person, len(fresh) + len(added))
    return Decision(tuple({**fixes.tasks, **fresh}.values()), header, (retried, *fixes.journal))


def _as_new(task: TaskState) -> TaskState:
    """A task whose attempts count from none."""
    return task._replace(
        status=TaskStatus.WAITING,
        failures=0,
        crashes=0,
        outages=0,
        suspect=False,
        dispatch_id=None,
        question=None,
        wanted=None,
        needs=None,
        error=None,
        not_before=0.0,
    )


class _Fixes(NamedTuple):
    """Debug cycles that a person wants."""

    workflow: Workflow
    """With them."""
    tasks: Mapping[str, TaskState] = MappingProxyType({})
    """New versions and new tasks."""
    journal: tuple[JournalEvent, ...] = ()


def _with_fixes(workflow: Workflow, failed: list[TaskState]) -> _Fixes:
    """Add a debug cycle for each of these tasks that said "failed", if there is code to fix."""
    changed = Workflow.load(workflow.header, workflow.tasks.values())
    tasks: dict[str, TaskState] = {}
    journal: list[JournalEvent] = []
    for task in failed:
        judge = task._replace(status=TaskStatus.SUCCEEDED, error=None)
        added = debug_cycle(changed, judge, past_limit=True) if task.verdict == "failed" else []
        if not added:
            continue
        names = tuple(one.task_id for one in added if one.task_id not in changed.tasks)
        changed.evolve(None, [judge, *added])
        tasks |= {one.task_id: one for one in (judge, *added)}
        name, cycle = judge.task_id, max(one.cycle for one in added)
        # Accepted now, without a dispatch: the outcome was there when the task failed.
        found = TaskSucceeded(name, judge.attempt, judge.commit, judge.summary, "", "", judge.verdict)
        journal += [found, TaskToBeFixed(name, cycle, names)]
    return _Fixes(changed, tasks, tuple(journal))


def _reopen(workflow: Workflow, failed: list[TaskState]) -> list[TaskState]:
    """These tasks and those they blocked, without any that still depends on a task that did not succeed."""
    names = dict.fromkeys(task.task_id for task in failed)
    for name in descendants(workflow, list(names)):
        if workflow.tasks[name].status in {TaskStatus.BLOCKED, TaskStatus.CANCELLED}:
            names[name] = None
    doubtful = list(names)
    while doubtful:
        name = doubtful.pop()
        if name in names and any(
            needed not in names
            and (status := workflow.tasks[needed].status).terminal
            and status is not TaskStatus.SUCCEEDED
            for needed in workflow.tasks[name].dependencies
        ):
            del names[name]
            doubtful.extend(workflow.dependents[name])
    return [workflow.tasks[name] for name in names]

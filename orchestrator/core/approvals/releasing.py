"""Releases tasks that wait for no other task any more: they are ready, or wait for a person."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.core.approvals.actions import first_status
from orchestrator.core.state import TaskState, TaskStatus, Workflow


def release(
    workflow: Workflow,
    names: Iterable[str],
    *,
    just_done: str | None = None,
    versions: dict[str, TaskState] | None = None,
) -> list[TaskState]:
    """New versions of the waiting tasks whose dependencies have all succeeded (I6)."""
    open_needs = 1 if just_done else 0
    released = []
    for name in names:
        task = versions[name] if versions else workflow.tasks[name]
        if task.status is not TaskStatus.WAITING or workflow.unmet[name] != open_needs:
            continue
        released.append(task._replace(status=first_status(workflow.header, task.item)))
    return released

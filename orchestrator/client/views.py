"""What is shown of workflows to people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.core.operator_actions import action_hash
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One thing that happened. `at` is in seconds since 1970."""

    sequence: int
    workflow_id: str
    task_id: str | None
    at: float
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """A workflow as it was last committed, tasks in plan order."""

    header: Header
    tasks: tuple[TaskState, ...]

    @property
    def waiting_for_approval(self) -> tuple[TaskState, ...]:
        """Tasks that a person must approve."""
        return tuple(task for task in self.tasks if task.status is TaskStatus.APPROVAL)

    @property
    def stands_still(self) -> bool:
        """Whether nothing goes on until a person approves something."""
        active = {TaskStatus.READY, TaskStatus.DISPATCHED}
        return bool(self.waiting_for_approval) and not any(task.status in active for task in self.tasks)

    def action_hash(self, task_id: str) -> str:
        """What an approval of this task would have to name."""
        workflow = Workflow.load(self.header, self.tasks)
        task = workflow.tasks[task_id]
        return action_hash(self.header.workflow_id, task, workflow.parents_of(task))

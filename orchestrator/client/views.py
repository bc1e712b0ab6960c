"""What clients see of workflows and of the processes that serve them."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.approvals.actions import action_hash
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow
from orchestrator.storage.queries import JournalEntry, OrchestratorView, WorkerView, WorkflowOverview

__all__ = ["JournalEntry", "OrchestratorView", "WorkerView", "WorkflowOverview", "WorkflowView"]


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """A workflow as it was last committed."""

    header: Header
    tasks: tuple[TaskState, ...]
    """In plan order, then those that were added later."""

    @property
    def waiting_for_approval(self) -> tuple[TaskState, ...]:
        """Tasks that wait for an operator's approval."""
        return tuple(task for task in self.tasks if task.status is TaskStatus.APPROVAL)

    @property
    def waiting_for_answer(self) -> tuple[TaskState, ...]:
        """Tasks that wait for an operator's answer."""
        return tuple(task for task in self.tasks if task.status is TaskStatus.ANSWER)

    @property
    def waiting_for_budget(self) -> tuple[TaskState, ...]:
        """Tasks that wait for more than is left to spend."""
        return tuple(task for task in self.tasks if task.status is TaskStatus.BUDGET)

    @property
    def stands_still(self) -> bool:
        """Whether nothing goes on until an operator approves, answers or pays something."""
        active = {TaskStatus.READY, TaskStatus.DISPATCHED}
        waits = bool(self.waiting_for_approval or self.waiting_for_answer or self.waiting_for_budget)
        return waits and not any(task.status in active for task in self.tasks)

    @property
    def settled(self) -> bool:
        """Whether the workflow has ended, or goes on only when an operator decides."""
        return self.header.status.terminal or self.stands_still

    def action_hash(self, task_id: str) -> str:
        """The hash that an approval of this task must name. Raises KeyError for an unknown task."""
        workflow = Workflow.load(self.header, self.tasks)
        return action_hash(workflow, workflow.tasks[task_id])

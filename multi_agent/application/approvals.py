"""Tasks that wait for approval, exactly as they stand."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.documents.todo_list import TodoItem
from orchestrator.client.views import WorkflowView
from orchestrator.core.operator_actions import action_hash
from orchestrator.core.state import Workflow


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A task that waits for approval, exactly as it stands."""

    workflow_id: str
    item: TodoItem
    parents: tuple[str, ...]
    """The commits that it starts from."""
    action_hash: str
    """Identifies the task together with what it starts from."""


def pending_approvals(view: WorkflowView) -> tuple[PendingApproval, ...]:
    """The tasks of a workflow that wait for approval."""
    name, workflow = view.header.workflow_id, Workflow.load(view.header, view.tasks)
    found = [(task, workflow.parents_of(task)) for task in view.waiting_for_approval]
    return tuple(
        PendingApproval(name, task.item, parents, action_hash(name, task, parents)) for task, parents in found
    )

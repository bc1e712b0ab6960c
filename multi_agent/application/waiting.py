"""What waits for a person, exactly as it stands: approvals of tasks, and questions of their agents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from contracts.documents.todo_list import TodoItem
from contracts.messages.suspension import Question
from orchestrator.client.views import WorkflowView
from orchestrator.core.operator_actions import action_hash
from orchestrator.core.state import Workflow
from orchestrator.core.suspension import question_hash


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A task that waits for approval."""

    workflow_id: str
    item: TodoItem
    parents: tuple[str, ...]
    """The commits that it starts from."""
    action_hash: str
    """Identifies the task together with what it starts from."""

    @property
    def task_id(self) -> str:
        return self.item.task_id


@dataclass(frozen=True, slots=True)
class PendingQuestion:
    """A task that waits for an answer."""

    workflow_id: str
    task_id: str
    title: str
    """Of the task."""
    question: Question
    action_hash: str
    """Identifies the question."""


Pending: TypeAlias = PendingApproval | PendingQuestion


def pending_approvals(view: WorkflowView) -> tuple[PendingApproval, ...]:
    """The tasks of a workflow that wait for approval."""
    name, workflow = view.header.workflow_id, Workflow.load(view.header, view.tasks)
    found = [(task, workflow.parents_of(task)) for task in view.waiting_for_approval]
    return tuple(
        PendingApproval(name, task.item, parents, action_hash(name, task, parents)) for task, parents in found
    )


def pending_questions(view: WorkflowView) -> tuple[PendingQuestion, ...]:
    """The tasks of a workflow that wait for an answer."""
    name = view.header.workflow_id
    return tuple(
        PendingQuestion(name, task.task_id, task.item.title, task.question, question_hash(name, task))
        for task in view.waiting_for_answer
        if task.question is not None
    )


def pending(view: WorkflowView) -> tuple[Pending, ...]:
    """All that waits for a person in a workflow."""
    return (*pending_approvals(view), *pending_questions(view))

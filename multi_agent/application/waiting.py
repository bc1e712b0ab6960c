"""What waits for a person, exactly as it stands: approvals of tasks, questions of agents, and budgets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from contracts.documents.canonical_json import canonical_hash
from contracts.messages.budget import SpendingLimits
from contracts.messages.suspension import Question
from orchestrator.client.views import WorkflowView
from orchestrator.core.approvals.actions import action_of, asks_for
from orchestrator.core.budgets import enough_for, waits_for_budget
from orchestrator.core.state import TaskState, Workflow
from orchestrator.core.suspension import question_hash
from orchestrator.storage.approvals.releases import WaitingRelease


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A task, or a call of its agent, that waits for approval."""

    workflow_id: str
    task_id: str
    action: Mapping[str, Any]
    """All that is approved: what `action_hash` is the hash of."""
    action_hash: str
    risk: str
    rule: str
    """Of the policy, or what else asks for the approval."""
    release: WaitingRelease | None = None
    """Of a release into a user's repository; `task_id` is then what kind."""

    @classmethod
    def of_release(cls, found: WaitingRelease) -> PendingApproval:
        """A release that waits for approval."""
        place = (found.workflow_id, found.kind, found.action, found.action_hash)
        return cls(*place, found.risk, found.rule, found)


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


@dataclass(frozen=True, slots=True)
class PendingBudget:
    """A task that waits for more than its workflow has left to spend."""

    workflow_id: str
    task_id: str
    sentence: str
    """What was spent of what, and what is needed next."""
    enough: SpendingLimits | None
    """To what the budget must be raised at least; None where a limit of its task or role holds."""
    action_hash: str
    """Identifies the wait."""


Pending: TypeAlias = PendingApproval | PendingQuestion | PendingBudget


def pending_approvals(view: WorkflowView) -> tuple[PendingApproval, ...]:
    """The tasks of a workflow that wait for approval."""
    if not view.waiting_for_approval:
        return ()
    workflow = Workflow.load(view.header, view.tasks)
    return tuple(_approval(workflow, task) for task in view.waiting_for_approval)


def _approval(workflow: Workflow, task: TaskState) -> PendingApproval:
    action, needs = action_of(workflow, task), asks_for(workflow, task)
    name = workflow.header.workflow_id
    return PendingApproval(name, task.task_id, action, canonical_hash(action), needs.risk, needs.rule)


def pending_questions(view: WorkflowView) -> tuple[PendingQuestion, ...]:
    """The tasks of a workflow that wait for an answer."""
    name = view.header.workflow_id
    return tuple(
        PendingQuestion(name, task.task_id, task.item.title, task.question, question_hash(name, task))
        for task in view.waiting_for_answer
        if task.question is not None
    )


def pending_budgets(view: WorkflowView) -> tuple[PendingBudget, ...]:
    """The tasks of a workflow that wait for its budget to be raised."""
    if not view.waiting_for_budget:
        return ()
    name, workflow = view.header.workflow_id, Workflow.load(view.header, view.tasks)
    return tuple(
        PendingBudget(
            name,
            task.task_id,
            waits_for_budget(workflow, task),
            enough_for(workflow, task),
            _wait_hash(name, task),
        )
        for task in view.waiting_for_budget
    )


def _wait_hash(workflow_id: str, task: TaskState) -> str:
    text = f"{workflow_id}\n{task.task_id}\n{task.attempt}\n{task.needs}"
    return hashlib.sha256(text.encode()).hexdigest()


def pending(view: WorkflowView) -> tuple[Pending, ...]:
    """All that waits for a person in a workflow."""
    return (*pending_approvals(view), *pending_questions(view), *pending_budgets(view))

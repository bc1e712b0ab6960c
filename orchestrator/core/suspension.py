"""Suspended tasks: an execution ended and left its slot, and the work goes on when what it needs is there."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from contracts.base.errors import MultiAgentError
from contracts.messages.approval_events import ApprovalAsked
from contracts.messages.approvals import WantedAction
from contracts.messages.budget import NOTHING, Amount, SpendingLimits
from contracts.messages.journal import TaskAnswered, TaskSuspended
from contracts.messages.payloads import TaskOutcome
from contracts.messages.suspension import MOST_QUESTIONS, Answered
from orchestrator.core.approvals.actions import calls_need_approval
from orchestrator.core.budgets import suspend_for_budget
from orchestrator.core.decision import Decision
from orchestrator.core.events import AnswerQuestion
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow


class SuspensionRefused(MultiAgentError):
    """A task asks for what it may not have; the message says why."""

    def __init__(self, message: str, code: str = "question_refused") -> None:
        super().__init__(message)
        self.code = code


class Left(NamedTuple):
    """How an execution ended that left its slot."""

    outcome: TaskOutcome
    granted: SpendingLimits | None
    """What it might spend."""


def questions_left(header: Header, task: TaskState) -> int:
    """How many more questions a task may ask; 0 where nobody can be asked."""
    return max(0, MOST_QUESTIONS - len(task.answers)) if header.questions else 0


def question_hash(workflow_id: str, task: TaskState) -> str:
    """SHA-256 of exactly what an answer is for: this question of this task."""
    asked = task.question.model_dump_json() if task.question else ""
    text = "\n".join((workflow_id, task.task_id, str(len(task.answers)), asked))
    return hashlib.sha256(text.encode()).hexdigest()


def suspend(workflow: Workflow, task: TaskState, left: Left) -> Decision:
    """Let a task wait for an answer or for more to spend; it uses no retry. Its commit is unfinished work.

    Raises SuspensionRefused.
    """
    why = left.outcome.suspended
    if why is not None and why.budget is not None:
        _check_need(left, why.budget)
        return suspend_for_budget(task, why.budget)
    if why is not None and why.action is not None:
        return _wants(workflow, task, why.action)
    if why is None or why.question is None:
        raise SuspensionRefused("it is suspended without a reason")
    question = why.question
    if not questions_left(workflow.header, task):
        raise SuspensionRefused(f"it asks what nobody may be asked any more: {question.text}")
    if any(known.question == question for known in task.answers):
        raise SuspensionRefused(f"it asks what was answered already: {question.text}")
    waiting = task._replace(status=TaskStatus.ANSWER, dispatch_id=None, error=None, question=question)
    asked = TaskSuspended(task.task_id, task.attempt, question.text, question.choices or None)
    return Decision((waiting,), journal=(asked,))


def _wants(workflow: Workflow, task: TaskState, wanted: WantedAction) -> Decision:
    """Let a task wait until a person allows a call. One that was refused is refused for ever."""
    if not calls_need_approval(workflow.header):
        raise SuspensionRefused("no rule of the workflow asks a person about calls", "approval_refused")
    if any(known == wanted.digest for known, _ in task.refused):
        raise SuspensionRefused("a person refused this very call before", "approval_refused")
    waiting = task._replace(status=TaskStatus.APPROVAL, dispatch_id=None, error=None, wanted=wanted)
    return Decision((waiting,), journal=(ApprovalAsked(task.task_id, f"it wants to call {wanted.tool}"),))


def _check_need(left: Left, needs: Amount) -> None:
    """Refuse to give more to what had enough, or it would ask for ever."""
    granted, spent = left.granted, left.outcome.spent
    charged = spent.total if spent else granted.amount if granted else NOTHING
    if granted is None or (charged == NOTHING and granted.bears(needs)):
        raise SuspensionRefused("it asks for more to spend and was given enough", "budget_refused")


def answer(workflow: Workflow, event: AnswerQuestion) -> Decision:
    """Let a task go on with exactly the answer to what it asks."""
    task = workflow.tasks.get(event.task_id)
    if task is None or task.status is not TaskStatus.ANSWER or task.question is None:
        return Decision(refused=f"task {event.task_id} asks nothing")
    if event.question_hash != question_hash(workflow.header.workflow_id, task):
        return Decision(refused="what is asked is not what was answered; look at it again")
    given = Answered(question=task.question, answer=event.text)
    ready = task._replace(status=TaskStatus.READY, question=None, answers=(*task.answers, given))
    entry = TaskAnswered(task.task_id, event.person, task.question.text, event.text)
    return Decision((ready,), journal=(entry,))

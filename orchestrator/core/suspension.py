"""Suspended tasks: an execution ended and left its slot, and the work goes on when what it needs is there."""

from __future__ import annotations

import hashlib

from contracts.base.errors import MultiAgentError
from contracts.messages.journal import TaskAnswered, TaskSuspended
from contracts.messages.suspension import MOST_QUESTIONS, Answered, Suspension
from orchestrator.core.decision import Decision
from orchestrator.core.events import AnswerQuestion
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow


class QuestionRefused(MultiAgentError):
    """A task asks what it may not; the message says why."""


def questions_left(header: Header, task: TaskState) -> int:
    """How many more questions a task may ask; 0 where nobody can be asked."""
    return max(0, MOST_QUESTIONS - len(task.answers)) if header.questions else 0


def question_hash(workflow_id: str, task: TaskState) -> str:
    """SHA-256 of exactly what an answer is for: this question of this task."""
    asked = task.question.model_dump_json() if task.question else ""
    text = "\n".join((workflow_id, task.task_id, str(len(task.answers)), asked))
    return hashlib.sha256(text.encode()).hexdigest()


def suspend(workflow: Workflow, task: TaskState, why: Suspension) -> Decision:
    """Let a task wait for an answer; it uses no retry. Its commit, if any, is unfinished work.

    Raises QuestionRefused.
    """
    question = why.question
    if not questions_left(workflow.header, task):
        raise QuestionRefused(f"it asks what nobody may be asked any more: {question.text}")
    if any(known.question == question for known in task.answers):
        raise QuestionRefused(f"it asks what was answered already: {question.text}")
    waiting = task._replace(status=TaskStatus.ANSWER, dispatch_id=None, error=None, question=question)
    asked = TaskSuspended(task.task_id, task.attempt, question.text, question.choices or None)
    return Decision((waiting,), journal=(asked,))


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

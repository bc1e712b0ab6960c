"""The bodies of commands as the commands table stores them, the events they stand for, and their results."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, get_args

from pydantic import TypeAdapter, ValidationError

from contracts.base.errors import InvalidInput
from contracts.base.model import CommitName, Identifier, LongText, Model
from contracts.documents.approval_policy import ApprovalPolicy
from contracts.documents.repository_settings import RepositorySettings
from contracts.documents.todo_list import TodoList
from contracts.messages.approvals import Comment
from contracts.messages.budget import Budget, SpendingLimits
from contracts.messages.payloads import Usage
from contracts.messages.suspension import AnswerText
from orchestrator.core.events import (
    AnswerQuestion,
    Approve,
    Cancel,
    RaiseBudget,
    Reject,
    Retry,
    WorkflowEvent,
)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The orchestrator's answer to a command: accepted, or refused with a reason."""

    refusal: str | None = None
    """Why the command changed nothing, in words for a user; None when it was accepted."""

    @property
    def accepted(self) -> bool:
        """Whether the command was applied."""
        return self.refusal is None


ACCEPTED = CommandResult()


class CommandKind(StrEnum):
    """Every kind of command."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    ANSWER = "answer"
    BUDGET = "budget"
    CANCEL = "cancel"
    RETRY = "retry"
    RETRY_DEAD_LETTER = "retry-dead-letter"
    DISCARD_DEAD_LETTER = "discard-dead-letter"


class Terms(NamedTuple):
    """What the agents of a workflow may do."""

    questions: bool = False
    """Whether they may ask a person."""
    budget: Budget | None = None
    """What they may spend."""
    approvals: ApprovalPolicy | None = None
    """What a person must allow first."""


USUAL_TERMS: Final = Terms()


class SubmitBody(Model):
    """Start a workflow from a plan that has passed its checks."""

    kind: Literal[CommandKind.SUBMIT] = CommandKind.SUBMIT
    plan: TodoList
    base_commit: CommitName | None = None
    planning: Usage | None = None
    """What making the plan consumed."""
    repository: RepositorySettings | None = None
    """What the base says about work in it."""
    questions: bool = False
    """Whether agents may ask a person."""
    budget: Budget | None = None
    """What the workflow may spend."""
    approvals: ApprovalPolicy | None = None
    """What a person must allow first."""


class ApproveBody(Model):
    """Allow exactly one action."""

    kind: Literal[CommandKind.APPROVE] = CommandKind.APPROVE
    task_id: Identifier
    action_hash: str
    person: str
    comment: Comment = ""


class RejectBody(Model):
    """Refuse what waits for approval."""

    kind: Literal[CommandKind.REJECT] = CommandKind.REJECT
    task_id: Identifier
    person: str
    reason: LongText = ""
    action_hash: str | None = None
    """Refuse only the action that hashes to this; None for whatever waits."""


class AnswerBody(Model):
    """AnswerQuestion what a task asks."""

    kind: Literal[CommandKind.ANSWER] = CommandKind.ANSWER
    task_id: Identifier
    question_hash: str
    text: AnswerText
    person: str


class BudgetBody(Model):
    """Raise what a workflow may spend, in all; what is None stays."""

    kind: Literal[CommandKind.BUDGET] = CommandKind.BUDGET
    limits: SpendingLimits
    person: str


class CancelBody(Model):
    """End a workflow."""

    kind: Literal[CommandKind.CANCEL] = CommandKind.CANCEL
    person: str


class RetryBody(Model):
    """Retry failed tasks."""

    kind: Literal[CommandKind.RETRY] = CommandKind.RETRY
    task_id: Identifier | None = None
    """None for all failed tasks."""
    person: str
    fresh: bool = False
    """Whether what said "failed" gets another fix, past its limit of debug cycles."""


class RetryDeadLetterBody(Model):
    """Retry the task that a dead letter is about, or publish its message again."""

    kind: Literal[CommandKind.RETRY_DEAD_LETTER] = CommandKind.RETRY_DEAD_LETTER
    dead_letter_id: int
    person: str


class DiscardDeadLetterBody(Model):
    """Close a dead letter; nothing else changes."""

    kind: Literal[CommandKind.DISCARD_DEAD_LETTER] = CommandKind.DISCARD_DEAD_LETTER
    dead_letter_id: int
    person: str


DeadLetterBody = RetryDeadLetterBody | DiscardDeadLetterBody
TaskBody = ApproveBody | RejectBody | AnswerBody | BudgetBody | CancelBody | RetryBody
Body = SubmitBody | TaskBody | DeadLetterBody
_BODIES: dict[str, type[Body]] = {body.model_fields["kind"].default: body for body in get_args(Body)}

_NAME: TypeAdapter[str] = TypeAdapter(Identifier)
MAX_NAME = 80


def check_name(workflow_id: str) -> str:
    """Return the workflow id if it can also be part of a Git ref. Raises InvalidInput."""
    try:
        if len(workflow_id) <= MAX_NAME and not workflow_id.endswith(".lock"):
            return _NAME.validate_python(workflow_id)
    except ValidationError:
        pass
    raise InvalidInput(
        f"workflow id {workflow_id[:90]!r}: must be 1 to {MAX_NAME} letters, digits, '_', '-', inner dots, "
        "and must not end in '.lock'"
    )


def body_text(body: Body) -> str:
    """A body as it is stored next to its kind, without the fields that are at their default."""
    return body.model_dump_json(exclude_defaults=True)


def read_body(kind: str, text: str) -> Body:
    """Parse the body of a command of this kind. Raises InvalidInput."""
    model = _BODIES.get(kind)
    if model is None:
        raise InvalidInput(
            f"there is no command of kind {kind[:40]!r}; this orchestrator may be too old for it"
        )
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput(f"the command cannot be understood: {error.error_count()} problems") from None


def as_event(body: TaskBody) -> WorkflowEvent:
    """The event a command stands for."""
    match body:
        case ApproveBody():
            return Approve(body.task_id, body.action_hash, body.person, body.comment)
        case RejectBody():
            return Reject(body.task_id, body.person, body.reason, body.action_hash)
        case AnswerBody():
            return AnswerQuestion(body.task_id, body.question_hash, body.text, body.person)
        case BudgetBody():
            return RaiseBudget(body.limits, body.person)
        case CancelBody():
            return Cancel(body.person)
        case RetryBody():
            return Retry(body.task_id, body.person, body.fresh)

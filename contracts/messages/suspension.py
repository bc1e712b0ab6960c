"""Executions that end suspended: what they wait for, and with what the next one goes on."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from contracts.base.model import Entries, Model, ShortText
from contracts.messages.approvals import WantedAction
from contracts.messages.budget import Amount

MOST_QUESTIONS: Final = 3
"""Of one task, however often it is tried."""
MOST_ANSWER: Final = 20_000
"""Characters of an answer."""

AnswerText = Annotated[str, StringConstraints(min_length=1, max_length=MOST_ANSWER)]


class Question(Model):
    """What an agent asks a person. The same text with the same choices is the same question."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
    choices: Entries[ShortText] = Field(
        default=(), max_length=10, description="answers that are likely; any other may be given"
    )


class Answered(Model):
    """A question with what a person answered."""

    question: Question
    answer: AnswerText


class Suspension(Model):
    """Why an execution ended before its work did. It goes on when that is met."""

    question: Question | None = Field(default=None, description="what a person must answer first")
    budget: Amount | None = Field(
        default=None,
        description="what the next call of the model may cost, for which its allowance is too small",
    )
    action: WantedAction | None = Field(
        default=None, description="a call of a tool that a person must allow first"
    )


class Suspended(BaseException):
    """Ends an execution whose work goes on later. Agents let it pass, so that it is no Exception."""

    def __init__(self, suspension: Suspension) -> None:
        super().__init__(f"suspended: {_why(suspension)}")
        self.suspension = suspension


def _why(suspension: Suspension) -> str:
    if suspension.question is not None:
        return suspension.question.text
    if suspension.action is not None:
        return f"a person must allow {suspension.action.tool}"
    return "its allowance is spent"


class ResumeFrom(Model):
    """What earlier executions of the task waited for, and was met since."""

    answers: Entries[Answered] = Field(min_length=1, description="all that were given, oldest first")

"""Questions of an agent to a person: the execution ends, and the next one goes on with the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from contracts.base.errors import InvalidInput
from contracts.base.text import bounded, encodable
from contracts.messages.payloads import TaskRequest
from contracts.messages.suspension import Answered, Question, Suspended, Suspension

_SAID: Final = 2_000
"""Characters of a question or an answer, for whoever tries again."""


def suspended_in(group: BaseExceptionGroup[BaseException]) -> Suspended | None:
    """The first of a group, as a TaskGroup raises it; None where there is none."""
    found: BaseException | None = group.subgroup(Suspended)
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found if isinstance(found, Suspended) else None


def answer_to(request: TaskRequest, text: str, choices: Sequence[str]) -> str | None:
    """What a person answered; None where nobody can be asked, or no question is left.

    Raises Suspended as long as it was not answered, InvalidInput for a question that cannot be asked.
    """
    try:
        question = Question(text=encodable(text), choices=tuple(map(encodable, choices)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"question: {first['loc'][0]}: {first['msg']}") from None
    for known in request.resume_from.answers if request.resume_from else ():
        if known.question == question:
            return known.answer
    if not request.questions:
        return None
    raise Suspended(Suspension(question=question))


def said_so_far(given: Sequence[Answered]) -> str:
    """What a person answered before, for whoever is told why an attempt failed; "" for nothing."""
    said = [(bounded(one.question.text, _SAID), bounded(one.answer, _SAID)) for one in given]
    return "".join(f"; a person was asked {asked!r} and answered {answer!r}" for asked, answer in said)

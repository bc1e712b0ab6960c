"""The tool that asks a person."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from agents.tools.bench import Bench
from agents.tools.tool import Tool
from contracts.base.model import Model, ShortText
from contracts.messages.suspension import MOST_QUESTIONS

_NOBODY: Final = (
    f"Nobody can be asked, or all {MOST_QUESTIONS} questions are asked. Decide yourself what fits the "
    "request best, and say in your summary what you decided."
)


class Ask(Model):
    """Ask the person who made the request. Alone in its step.

    Only what changes the outcome, and that neither the request nor the repository answers. Your work stands
    still until the answer, which may take days; what you have done stays.
    """

    question: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] = Field(
        description=f"one question, with what must be known to answer it; at most {MOST_QUESTIONS} in a task"
    )
    choices: tuple[ShortText, ...] = Field(
        default=(), max_length=6, description="likely answers, the one you would take first"
    )


async def ask(bench: Bench, asked: Ask) -> str:
    """Return the answer. Raises what ends the execution until there is one."""
    answer = await bench.ask(asked.question, asked.choices)
    return _NOBODY if answer is None else f"The person answers:\n{answer}"


ASK: Final = Tool("ask", Ask, ask, reads_only=True, alone=True)
ASKING: Final = (ASK,)

"""One answer of the model in a loop: what it says, and what is to be done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import Field, ValidationError

from agents.loop.record import EndKind
from agents.tools.bench import Bench
from agents.tools.tool import Tool
from contracts.base.errors import InvalidDocument, LimitExceeded
from contracts.base.model import Model, ShortText
from contracts.base.model_answer import check_size
from contracts.base.processes.bounded_call import bounded_call
from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall
from contracts.ports.model import ModelResponse
from contracts.ports.text_form import blocks_in, looks_like_call

_CUT: Final = (
    "the answer was cut off at the limit of its length; do less in one answer: a long file in parts, a "
    "smaller edit, fewer calls"
)
_NO_CALL: Final = (
    "No tool was called, so nothing was done. Call `finish` if the task is done, `give_up` if it cannot be "
    "done, or the tool that you need next."
)
_EMPTY: Final = "(an answer without text)"


@dataclass(frozen=True, slots=True)
class ModelStep:
    """What an answer comes to."""

    blocks: tuple[ContentBlock, ...]
    """The answer as the conversation keeps it; its calls have names of their own."""
    problem: str = ""
    """Why nothing of it can be done; "" when something can."""
    is_prose: bool = False
    """Whether it is text, whole, without anything that could be a call."""
    was_cut: bool = False

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(block for block in self.blocks if isinstance(block, ToolCall))

    @property
    def text(self) -> str:
        return "\n\n".join(block.text for block in self.blocks if isinstance(block, TextBlock))

    @property
    def done(self) -> tuple[tuple[str, str], ...]:
        """What is done, by which steps are compared."""
        return tuple((call.name, call.arguments) for call in self.calls) or (("", self.text),)

    @property
    def digest(self) -> str:
        """Of what is done: SHA-256, hexadecimal."""
        return hashlib.sha256(json.dumps(self.done).encode()).hexdigest()


class Finish(Model):
    """The task is done: say in one line what was changed. Alone, after everything else."""

    summary: str = Field(min_length=1, max_length=2_000)


class GiveUp(Model):
    """The task cannot be done: say why, with what you saw. Alone, after everything else."""

    reason: str = Field(min_length=1, max_length=4_000)


async def _ends(_bench: Bench, _asked: Model) -> str:
    return ""


FINISH: Final = Tool("finish", Finish, _ends, reads_only=True)
GIVE_UP: Final = Tool("give_up", GiveUp, _ends, reads_only=True)


class NeedsPlan(Model):
    """The request is several pieces of work with interfaces between them: have it planned for several.

    Not because something is hard. What you have changed is dropped. Alone, and early.
    """

    reason: str = Field(min_length=1, max_length=4_000)
    found: str = Field(
        default="", max_length=20_000, description="parts, places and interfaces that whoever plans must know"
    )


NEEDS_PLAN: Final = Tool("needs_plan", NeedsPlan, _ends, reads_only=True)


class Contest(Model):
    """Tests are wrong, not the code: they ask for what neither the request nor the contract says.

    Somebody else looks at them once more. Change nothing to please them. Alone.
    """

    tests: tuple[ShortText, ...] = Field(min_length=1, max_length=10, description="ids of tests that failed")
    reason: str = Field(
        min_length=1, max_length=4_000, description="what the request says instead, and what you saw"
    )


class BlameEnvironment(Model):
    """Neither code nor tests are wrong: something around them is missing or broken. Say what. Alone."""

    reason: str = Field(min_length=1, max_length=4_000)


CONTEST: Final = Tool("contest", Contest, _ends, reads_only=True)
BLAME_ENVIRONMENT: Final = Tool("blame_environment", BlameEnvironment, _ends, reads_only=True)


def asked_for(step: ModelStep, ends: Iterable[Tool[Any]]) -> Model | None:
    """The arguments of the end that a step asks for, among those that not every loop has."""
    if len(step.calls) != 1:
        return None
    [call] = step.calls
    with suppress(ValidationError):
        for end in ends:
            if call.name == end.name:
                asked: Model = end.arguments.model_validate(call.parsed)
                return asked
    return None


def end_of(step: ModelStep) -> tuple[EndKind, str] | None:
    """The end that a step asks for, and its text; an end must be the only call of its step."""
    if len(step.calls) != 1:
        return None
    [call] = step.calls
    with suppress(ValidationError):
        if call.name == FINISH.name:
            return "finished", Finish.model_validate(call.parsed).summary
        if call.name == GIVE_UP.name:
            return "given_up", GiveUp.model_validate(call.parsed).reason
    return None


async def read_step(response: ModelResponse, number: int) -> ModelStep:
    """Read an answer: calls, or text that may hold calls. `number` is that of the step."""
    blocks, cut = response.contents, response.end == "length"
    if not any(isinstance(block, ToolCall) for block in blocks):
        blocks, problem, is_prose = await _calls_in_text(blocks)
        if problem:
            told = f"The answer cannot be used: {_CUT}." if cut else problem
            if response.end == "malformed":
                told = "The answer cannot be used: its call of a tool could not be read. Make it again."
            return ModelStep(blocks, told, is_prose and not response.end, cut)
    blocks = _named(blocks, number)
    calls = [block for block in blocks if isinstance(block, ToolCall)]
    can_be_done = any(call.name and call.parsed is not None for call in calls)
    return ModelStep(blocks, "" if can_be_done else "no call in it can be read", was_cut=cut)


def unreadable(call: ToolCall, step: ModelStep) -> str:
    """Why a call cannot be done whose arguments are no JSON object."""
    if step.was_cut and call is step.calls[-1]:
        return f"not done: {_CUT}"
    return "its arguments are no JSON object; make this call again, with quotes and line ends escaped"


async def _calls_in_text(
    blocks: tuple[ContentBlock, ...],
) -> tuple[tuple[ContentBlock, ...], str, bool]:
    """An answer with the calls in its text; else as it was, why there is none, and whether it is prose."""
    text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    if not text.strip():
        return (*blocks, TextBlock(_EMPTY)), _NO_CALL, False
    try:
        check_size(text)
        found = await bounded_call(len(text), blocks_in, text)
    except InvalidDocument as error:
        problem = "; ".join(str(one) for one in error.problems[:5])
    except LimitExceeded as error:
        problem = f"it {error}"
    else:
        return (*(block for block in blocks if isinstance(block, ThinkingBlock)), *found), "", False
    if not looks_like_call(text):
        return blocks, _NO_CALL, True
    return blocks, f"The answer cannot be used: {problem}. {_NO_CALL}", False


def _named(blocks: Sequence[ContentBlock], number: int) -> tuple[ContentBlock, ...]:
    """The blocks, with a name for each call that has none of its own."""
    used: set[str] = set()
    named: list[ContentBlock] = []
    for place, block in enumerate(blocks):
        kept = block
        if isinstance(kept, ToolCall):
            if not kept.call_id or kept.call_id in used:
                # Nine letters and digits, which every service takes.
                kept = replace(kept, call_id=f"s{number:04}c{place:03}")
            used.add(kept.call_id)
        named.append(kept)
    return tuple(named)

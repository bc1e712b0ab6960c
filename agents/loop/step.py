"""One answer of the model in a loop: what it says, and what is to be done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from contracts.base.errors import InvalidDocument, LimitExceeded
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
    "No tool was called, so nothing was done. Call `{finish}` if the task is done, `give_up` if it cannot be "
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


async def read_step(response: ModelResponse, number: int, finish: str = "finish") -> ModelStep:
    """Read an answer: calls, or text that may hold calls.

    `number` is that of the step, `finish` the tool that says that the work is done.
    """
    blocks, cut = response.contents, response.end == "length"
    if not any(isinstance(block, ToolCall) for block in blocks):
        blocks, problem, is_prose = await _calls_in_text(blocks, _NO_CALL.format(finish=finish))
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
    blocks: tuple[ContentBlock, ...], no_call: str
) -> tuple[tuple[ContentBlock, ...], str, bool]:
    """An answer with the calls in its text; else as it was, why there is none, and whether it is prose."""
    text = "\n".join(block.text for block in blocks if isinstance(block, TextBlock))
    if not text.strip():
        return (*blocks, TextBlock(_EMPTY)), no_call, False
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
        return blocks, no_call, True
    return blocks, f"The answer cannot be used: {problem}. {no_call}", False


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

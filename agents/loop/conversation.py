"""The conversation of a loop, compacted by rule before it is too long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from agents.loop.step import ModelStep
from agents.tools.asking import ASK
from contracts.base.text import encodable
from contracts.ports.content import ContentBlock, TextBlock, ThinkingBlock, ToolCall, ToolResult
from contracts.ports.model import ModelMessage

_FEW: Final = 5
_BEGIN: Final = "No step of {0} is done. {0} left."
_LEFT_OUT: Final = "({} characters that it showed are left out by now; make the call again if you need them.)"


_TEXT: Final = 300
_ARGUMENT: Final = 100
"""How much is kept of a text and of an argument of the oldest steps."""


@dataclass(frozen=True, slots=True)
class _Taken:
    step: ModelStep
    results: tuple[str, ...]
    note: str
    brief: tuple[ContentBlock, ...]
    """The answer as it is kept among the oldest steps."""


@dataclass(slots=True)
class Conversation:
    """An assignment, then steps, each with what it showed and how many are left.

    When it is longer than `most` characters, what the oldest steps thought, wrote and showed is left out
    until half of that is left. This happens rarely, so that most requests begin with the one before them,
    which services cache.
    """

    assignment: str
    limit: int
    """Of steps."""
    most: int
    """Of characters."""
    _taken: list[_Taken] = field(default_factory=list)
    _kept_from: int = 0

    def add(self, step: ModelStep, results: tuple[str, ...], note: str) -> None:
        """Add a step, what each of its calls showed, and what else is said.

        Files and models may have text that cannot be sent: it goes no further than here.
        """
        step = replace(step, blocks=tuple(map(_sendable, step.blocks)))
        brief = tuple(_brief(block) for block in step.blocks if not isinstance(block, ThinkingBlock))
        self._taken.append(_Taken(step, tuple(map(encodable, results)), encodable(note), brief))
        if self._size() > self.most:
            while self._size() > self.most // 2 and self._kept_from < len(self._taken) - 1:
                self._kept_from += 1

    @property
    def messages(self) -> tuple[ModelMessage, ...]:
        """The turns of the conversation."""
        turns = [ModelMessage("user", f"{self.assignment}\n\n{_BEGIN.format(self.limit)}")]
        for number, taken in enumerate(self._taken):
            is_whole = number >= self._kept_from
            turns.append(ModelMessage("model", "", taken.step.blocks if is_whole else taken.brief))
            turns.append(ModelMessage("user", "", tuple(self._shown(number + 1, taken, is_whole))))
        return tuple(turns)

    def repeats(self, count: int) -> bool:
        """Whether the last so many steps did the same and showed the same."""
        last = {(taken.step.done, taken.results) for taken in self._taken[-count:]}
        return len(self._taken) >= count and len(last) == 1

    def _shown(self, number: int, taken: _Taken, is_whole: bool) -> Iterator[ContentBlock]:
        yield TextBlock(self._place(number))
        for call, text in zip(taken.step.calls, taken.results, strict=True):
            kept = is_whole or call.name == ASK.name
            yield ToolResult(call.name, text if kept else _brief_result(text), call.call_id)
        if taken.note:
            yield TextBlock(taken.note if is_whole else _beginning(taken.note, _TEXT))

    def _place(self, number: int) -> str:
        left = self.limit - number
        end = ": come to an end." if left <= _FEW else "."
        return f"Step {number} of {self.limit} is done. {left} left{end}"

    def _size(self) -> int:
        return sum(message.characters for message in self.messages)


def _sendable(block: ContentBlock) -> ContentBlock:
    """A block of an answer as it can be sent; a call's arguments are sent `as_object`."""
    if isinstance(block, ToolCall):
        return replace(block, name=encodable(block.name))
    return replace(block, text=encodable(block.text))


def _brief(block: ContentBlock) -> ContentBlock:
    """What a block begins with. The path that a call is about stays whole, and a question to a person."""
    if not isinstance(block, ToolCall):
        return replace(block, text=_beginning(block.text, _TEXT))
    if len(block.arguments) <= _ARGUMENT or block.name == ASK.name:
        return block
    kept = {
        name: value if name == "path" else _brief_argument(value) for name, value in block.as_object.items()
    }
    return replace(block, arguments=json.dumps(kept, ensure_ascii=False))


def _brief_result(text: str) -> str:
    """What is said in place of what a call showed; what is no longer than that stays."""
    said = _LEFT_OUT.format(f"{len(text):,}")
    return text if len(text) <= len(said) else said


def _brief_argument(value: object) -> object:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= _ARGUMENT else _beginning(text, _ARGUMENT)


def _beginning(text: str, most: int) -> str:
    left_out = len(text) - most
    return text if left_out <= 0 else f"{text[:most]}... ({left_out} more characters are left out by now)"

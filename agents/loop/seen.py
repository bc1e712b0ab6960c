"""A step as whoever looks on is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agents.loop.step import ModelStep
from contracts.messages.steps import CallTaken, StepTaken
from contracts.ports.content import ToolCall
from contracts.ports.text_form import MOST_CALLS

_CHARACTERS: Final = 200
_NAMED_BY: Final = ("path", "command", "pattern", "tests", "summary", "reason", "question")
"""Arguments that say best what a call is about, one of each tool."""


def step_taken(role: str, number: int, most: int, step: ModelStep, results: Sequence[str] = ()) -> StepTaken:
    """What is told of a step; without results for the end of the work."""
    refused = [text.startswith("refused: ") for text in results] or [False] * len(step.calls)
    calls = [
        CallTaken(tool=call.name[:100], target=_target(call), refused=was_refused)
        for call, was_refused in zip(step.calls, refused, strict=True)
    ]
    note = "" if step.calls else step.problem
    return StepTaken(
        role=role, number=number, most=most, calls=tuple(calls[:MOST_CALLS]), note=note[:_CHARACTERS]
    )


def _target(call: ToolCall) -> str:
    arguments = call.parsed or {}
    found = next((arguments[name] for name in _NAMED_BY if arguments.get(name)), "")
    text = " ".join(map(str, found)) if isinstance(found, list) else str(found)
    return " ".join(text.split())[:_CHARACTERS]

"""The tool that keeps a list of what is to be done."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from agents.tools.bench import Bench
from agents.tools.tool import Tool
from contracts.base.model import Model

_MARKS = {"open": " ", "doing": ">", "done": "x"}


class TodoEntry(Model):
    """One thing to do."""

    text: str = Field(min_length=1, max_length=200)
    state: Literal["open", "doing", "done"] = "open"


class Todo(Model):
    """Keep a list of what is to be done, for work of several parts. It replaces the list of before, and is shown again from time to time."""  # noqa: E501 - part of prompts

    entries: tuple[TodoEntry, ...] = Field(max_length=20)


async def todo(bench: Bench, asked: Todo) -> str:
    """Keep the list."""
    bench.todo = tuple((entry.text, entry.state) for entry in asked.entries)
    return shown_todo(bench.todo)


def shown_todo(entries: tuple[tuple[str, str], ...]) -> str:
    """The list as the model is shown it."""
    return "\n".join(f"[{_MARKS[state]}] {text}" for text, state in entries) or "the list is empty"


PLANNING = (Tool("todo", Todo, todo, reads_only=True),)

"""Commands of this program in text for people: as the reader can paste them into the shell that called it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

ANYWHERE: Final = frozenset({"chaos", "completion", "plan", "redis-acl"})
"""Commands that take no options of a data folder."""


@dataclass(frozen=True, slots=True)
class Called:
    """How this program was called."""

    program: Sequence[str] = ("multi-agent",)
    """What names it in the caller's shell."""
    place: Sequence[str] = ()
    """Options that lead to the same data folder."""


_called: ContextVar[Called] = ContextVar("called", default=Called())  # noqa: B039 - frozen


def note_call(called: Called) -> None:
    """From now on, in this context, print commands as this caller can use them."""
    _called.set(called)


def command_line(*words: str) -> str:
    """The command `words`, such as "approve", WORKFLOW, TASK, in one line for the caller's shell."""
    called = _called.get()
    place = () if words[0] in ANYWHERE else called.place
    return shlex.join([*called.program, *words, *place])


@dataclass(frozen=True, slots=True)
class Advice:
    """Words that end in a command, written where it is not known yet how the program is called."""

    text: str
    command: Sequence[str]

    def __str__(self) -> str:
        return f"{self.text}: {command_line(*self.command)}"

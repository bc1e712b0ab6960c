"""The ends of a loop: what a model calls when it will do nothing more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from agents.loop.step import ModelStep
from agents.tools.bench import Bench
from agents.tools.tool import Tool, ToolRefused
from contracts.base.model import Model, ShortText


class Finish(Model):
    """The task is done: say in one line what was changed. Alone, after everything else."""

    summary: str = Field(min_length=1, max_length=2_000)


class GiveUp(Model):
    """The task cannot be done: say why, with what you saw. Alone, after everything else."""

    reason: str = Field(min_length=1, max_length=4_000)


class NeedsPlan(Model):
    """The request is several pieces of work with interfaces between them: have it planned for several.

    Not because something is hard. What you have changed is dropped. Alone, and early.
    """

    reason: str = Field(min_length=1, max_length=4_000)
    found: str = Field(
        default="", max_length=20_000, description="parts, places and interfaces that whoever plans must know"
    )


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


async def ends_here(_bench: Bench, _asked: Model) -> str:
    """What an end does as a tool: nothing."""
    return ""


def end(name: str, arguments: type[Model]) -> Tool[Any]:
    """A tool that ends a loop."""
    return Tool(name, arguments, ends_here, reads_only=True)


FINISH: Final = end("finish", Finish)
GIVE_UP: Final = end("give_up", GiveUp)
NEEDS_PLAN: Final = end("needs_plan", NeedsPlan)
CONTEST: Final = end("contest", Contest)
BLAME_ENVIRONMENT: Final = end("blame_environment", BlameEnvironment)


async def _anything(_asked: Model) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Ends:
    """How a loop may end, beside giving up."""

    finish: Tool[Any] = FINISH
    """What says that the work is done."""
    others: tuple[Tool[Any], ...] = ()
    check: Callable[[Model], Awaitable[None]] = _anything
    """Raises ToolRefused for an end that cannot be had, with what is missing; the loop then goes on."""

    @property
    def tools(self) -> tuple[Tool[Any], ...]:
        """All of them."""
        return (self.finish, GIVE_UP, *self.others)

    def asked_for(self, step: ModelStep) -> Model | None:
        """The arguments of the end that a step asks for; an end must be the only call of its step."""
        if len(step.calls) != 1:
            return None
        [call] = step.calls
        for tool in self.tools:
            if call.name == tool.name and call.parsed is not None:
                with suppress(ToolRefused):
                    asked: Model = tool.read(call.parsed)
                    return asked
        return None


USUAL_ENDS: Final = Ends()

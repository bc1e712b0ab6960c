"""A tool: its name, its arguments with their JSON Schema, and what it does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from agents.tools.bench import Bench
from contracts.base.model import Model
from contracts.ports.model import ModelTool

A = TypeVar("A", bound=Model)

_UNSAID: Final = frozenset({"title", "minLength", "maxLength", "additionalProperties"})
_NOTHING: Final = {"type": "null"}


class ToolRefused(Exception):
    """What was asked for cannot be done; the message tells the model why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Tool(Generic[A]):
    """A tool. The docstring of its arguments says what it is for, and is part of prompts."""

    name: str
    arguments: type[A]
    work: Callable[[Bench, A], Awaitable[str]]
    """Raises ToolRefused, InvalidInput, SandboxUnavailable."""
    reads_only: bool = False
    """Whether it changes nothing, and may run beside others."""
    alone: bool = False
    """Whether it must be the only call of its step."""

    @property
    def described(self) -> ModelTool:
        """The tool as a model is told of it."""
        own = self.arguments.model_json_schema()
        parameters = {key: value for key, value in own.items() if key not in {"title", "description"}}
        return ModelTool(self.name, own.get("description", ""), _brief(parameters))

    def read(self, arguments: Mapping[str, Any]) -> A:
        """Check the arguments of a call. Raises ToolRefused for those that do not fit."""
        try:
            return self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolRefused("; ".join(_problems(error))) from None

    async def call(self, bench: Bench, arguments: Mapping[str, Any]) -> str:
        """Do it. Raises ToolRefused for arguments that do not fit, and what `work` raises."""
        return await self.work(bench, self.read(arguments))


def _problems(error: ValidationError) -> Iterable[str]:
    for one in error.errors(include_url=False, include_input=False)[:5]:
        yield f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}"


def _brief(schema: Any) -> Any:
    """A schema as a model needs it, which pays for it with each answer.

    What nobody counts or sends of itself, such as the most characters of a text, is said when a call breaks
    it. A name of an argument is no keyword: its value is a schema, not a number, text or bool.
    """
    if isinstance(schema, list):
        return [_brief(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    shown = {
        key: _brief(value) for key, value in schema.items() if key not in _UNSAID or isinstance(value, dict)
    }
    kinds = [one for one in shown.get("anyOf", ()) if one != _NOTHING]
    if len(kinds) == 1:  # what may be left out is null then
        shown = kinds[0] | {key: value for key, value in shown.items() if key not in {"anyOf", "default"}}
    return shown

"""Checks what a request says beyond its fields: turns, calls with their results, tools, sizes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from jsonschema import Draft202012Validator, FormatChecker, SchemaError

from contracts.base.errors import Problem
from multi_agent.models.wire.canonical import FormatName, WireRequest, WireTurn
from multi_agent.models.wire.failures import WireFailure

MOST_BYTES: Final[Mapping[FormatName, int]] = {
    "anthropic": 32_000_000,
    "chat": 50_000_000,
    "responses": 50_000_000,
    "gemini": 100_000_000,
}
"""What services take as the body of a request."""
_MOST_TURNS: Final = 100_000
_MOST_TOOLS: Final[Mapping[FormatName, int]] = {"chat": 128, "responses": 128}
_NAMES: Final[Mapping[FormatName, re.Pattern[str]]] = {
    "anthropic": re.compile(r"[A-Za-z0-9_-]{1,128}"),
    "chat": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "responses": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "gemini": re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}"),
}
_MOST_KEPT: Final = 16_384
"""Characters of a schema that is remembered."""
_ANY_FORMAT: Final = FormatChecker(())
"""Patterns are JavaScript's, which Python cannot check."""
_USER_FIRST: Final = frozenset({"anthropic", "gemini"})


def too_large(name: FormatName, size: int) -> WireFailure | None:
    """The failure of a body of more bytes than a service of this format takes."""
    most = MOST_BYTES[name]
    if size <= most:
        return None
    return WireFailure("too_large", f"the request has {size:,} bytes, and {most:,} is the limit")


def problems_for(request: WireRequest, name: FormatName, *, is_whole: bool = True) -> Iterator[Problem]:
    """What is wrong with a request for a service of this format.

    is_whole: False where the service knows more than is read here, such as its own tools.
    """
    said = [turn for turn in request.turns if turn.role != "system"]
    if not said and is_whole:
        yield Problem("$", "there is nothing to answer: send at least one turn of the user")
    if len(said) > _MOST_TURNS:
        yield Problem("$", f"has {len(said):,} turns, and {_MOST_TURNS:,} is the limit")
    if said and said[0].role != "user" and name in _USER_FIRST:
        yield Problem(said[0].at, "the first turn must be the user's")
    yield from _unanswered(said)
    if is_whole:
        yield from _orphans(said)
        yield from _choice_problems(request)
    yield from _tool_problems(request, name)


def _unanswered(turns: list[WireTurn]) -> Iterator[Problem]:
    for turn, following in zip(turns, [*turns[1:], None], strict=False):
        answered = {result.call_id for result in following.results} if following else set()
        for call in turn.calls:
            if call.call_id not in answered:
                yield Problem(call.at, f"the call {call.call_id!r} has no result in the turn after it")
        for call_id, times in Counter(call.call_id for call in turn.calls).items():
            if times > 1:
                yield Problem(turn.at, f"{times} calls have the id {call_id!r}")


def _orphans(turns: list[WireTurn]) -> Iterator[Problem]:
    for before, turn in zip([None, *turns], turns, strict=False):
        open_calls = {call.call_id for call in before.calls} if before else set()
        for result in turn.results:
            if result.call_id not in open_calls:
                yield Problem(
                    result.at, f"a result of {result.call_id!r}, which the turn before did not call"
                )
            open_calls.discard(result.call_id)


def _tool_problems(request: WireRequest, name: FormatName) -> Iterator[Problem]:
    names = Counter(tool.name for tool in request.tools)
    for tool in request.tools:
        if not _NAMES[name].fullmatch(tool.name):
            yield Problem(tool.at, f"{name} takes no tool named {tool.name!r}: {_NAMES[name].pattern}")
        if names[tool.name] > 1:
            yield Problem(tool.at, f"{names[tool.name]} tools are named {tool.name!r}")
        schema = json.dumps(dict(tool.schema), sort_keys=True)
        if fault := (_fault if len(schema) <= _MOST_KEPT else _fault.__wrapped__)(schema):
            yield Problem(tool.at, f"the arguments of {tool.name!r} have no valid JSON Schema: {fault}")
    if len(names) > (most := _MOST_TOOLS.get(name, len(names))):
        yield Problem("$.tools", f"has {len(names)} tools, and {name} takes {most}")


def _choice_problems(request: WireRequest) -> Iterator[Problem]:
    names = {tool.name for tool in request.tools}
    for chosen in request.choice.names:
        if chosen not in names:
            yield Problem(request.place("tool_choice"), f"names the tool {chosen!r}, which there is not")
    if request.choice.mode == "required" and not names:
        yield Problem(request.place("tool_choice"), "wants a tool called, and there is none")


@lru_cache(maxsize=2_048)
def _fault(schema: str) -> str:
    """What is wrong with a schema; "" for nothing. Clients send the same tools with every request."""
    found = json.loads(schema)
    if found.get("type", "object") != "object":
        return f"the type must be object, got {found['type']!r}"
    try:
        Draft202012Validator.check_schema(found, format_checker=_ANY_FORMAT)
    except SchemaError as error:
        return f"{error.json_path}: {error.message.splitlines()[0][:200]}"
    return ""

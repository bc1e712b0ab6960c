"""What a model accepts, and what its service's objections say about that. No input, no output."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from multi_agent.models.adapters.failures import HttpFailure

LimitName = Literal["max_tokens", "max_completion_tokens"]

SMALLEST_ANSWER: Final = 256
"""Tokens below which an answer is of no use here."""
_TOO_LARGE: Final = 413
_CHARACTERS_A_TOKEN: Final = 3
"""Rather too few, so that a request is rather called too large than sent in vain."""

_CONTEXT: Final = re.compile(
    r"(?:context (?:length|size|window)|n_ctx)\b[^\d]{0,30}?(\d[\d,]*)|"
    r"(\d[\d,]*)[ -]tokens? context|context (?:length|size|window) \((\d[\d,]*) tokens\)",
    re.IGNORECASE,
)
_PROMPT: Final = re.compile(
    r"(\d[\d,]*) (?:tokens? )?(?:in (?:the|your) (?:messages|prompt|input)|(?:input|prompt) tokens)|"
    r"request \((\d[\d,]*) tokens\)",
    re.IGNORECASE,
)
_REQUESTED: Final = re.compile(r"requested (?:about )?(\d[\d,]*)", re.IGNORECASE)
_THOUGHTS: Final = ("reasoning", "thinking", "thought")
_OUTPUT: Final = re.compile(
    r"max_?(?:completion_|output_|new_)?tokens|(?:completion|output) tokens", re.IGNORECASE
)
# Not a part of a name such as gpt-4-0613.
_NUMBER: Final = re.compile(r"(?<![\w.-])(\d[\d,]*)(?![\w-])( \(exclusive\))?")


class SchemaStyle(IntEnum):
    """How a schema is sent, best first."""

    JSON_SCHEMA = 0
    JSON_OBJECT = 1
    WORDS = 2


class ToolStyle(IntEnum):
    """How calls of tools are asked for, best first."""

    FREE = 0
    """As tools, which the model may call or not."""
    REQUIRED = 1
    """As tools, of which it must call one: some servers know how to force a call, but not how to find one."""
    TEXT = 2
    """In words, as contracts.ports.text_form has it."""


class Accepted(BaseModel):
    """What is known of a model."""

    model_config = ConfigDict(frozen=True)

    schema_style: SchemaStyle = SchemaStyle.JSON_SCHEMA
    tool_style: ToolStyle = ToolStyle.FREE
    thoughts: bool = True
    """Whether its own thoughts may be sent back to it."""
    temperature: bool = True
    limit_name: LimitName = "max_tokens"
    """What the limit of output tokens is called, where services differ."""
    max_output_tokens: int | None = Field(default=None, ge=1)
    """None when no request asked for too many."""
    context_tokens: int | None = Field(default=None, ge=1)
    """How many tokens a request and its answer may have together; None when every request has fitted."""

    def limit(self, wanted: int, request_characters: int) -> int:
        """How many output tokens to ask for."""
        limit = min(wanted, self.max_output_tokens or wanted)
        if self.context_tokens is None:
            return limit
        room = self.context_tokens - request_characters // _CHARACTERS_A_TOKEN
        return min(limit, max(room, SMALLEST_ANSWER))


@dataclass(frozen=True, slots=True)
class Told:
    """What the user says that the model takes; None where nothing is said."""

    max_output_tokens: int | None = None
    """Instead of a request's own."""
    limit_name: LimitName | None = None
    temperature: float | None = None
    """Instead of a request's own."""
    with_temperature: bool = True
    schema_style: SchemaStyle | None = None
    tool_style: ToolStyle | None = None
    only_native: bool = False
    """Whether calls are never asked for in words."""

    def over(self, learned: Accepted) -> Accepted:
        """What was learned, but for what is said here."""
        said: dict[str, object] = {"limit_name": self.limit_name, "schema_style": self.schema_style}
        said["tool_style"] = self.tool_style
        if self.only_native and learned.tool_style is ToolStyle.TEXT:
            said["tool_style"] = ToolStyle.FREE
        said |= {"temperature": None if self.with_temperature else False}
        return learned.model_copy(update={name: value for name, value in said.items() if value is not None})

    def without(self, accepted: Accepted, learned: Accepted) -> Accepted:
        """What `accepted` adds to what was learned, when it began as `over(learned)`."""
        before = self.over(learned).model_dump()
        added = {name: value for name, value in accepted.model_dump().items() if value != before[name]}
        return learned.model_copy(update=added)


@dataclass(frozen=True, slots=True)
class Sent:
    """How a request was sent."""

    accepted: Accepted
    """What was believed of the model."""
    limit: int
    """Of output tokens."""
    with_schema: bool
    """Whether there is a schema to send, where there are no tools."""
    renamed: bool = False
    """Whether the other name of the limit was tried before."""
    with_tools: bool = False
    """Whether there are tools to call."""
    only_native: bool = False
    """Whether tools may not be put into words."""

    @property
    def calls_tools(self) -> bool:
        """Whether tools are sent as tools."""
        return self.with_tools and self.accepted.tool_style < ToolStyle.TEXT

    @property
    def sends_schema(self) -> bool:
        """Whether a schema is sent as one."""
        asked = self.with_schema or (self.with_tools and not self.calls_tools)
        return asked and self.accepted.schema_style < SchemaStyle.WORDS

    @property
    def in_words(self) -> Sent | None:
        """The same with less that a server could break at; None when nothing is left."""
        if self.calls_tools and not self.only_native:
            return _but(self, tool_style=ToolStyle.TEXT)
        return _but(self, schema_style=SchemaStyle.WORDS) if self.sends_schema else None


@dataclass(frozen=True, slots=True)
class Room:
    """What a service says about the room for a request and its answer, in tokens."""

    context: int
    left: int
    """For the answer."""


def room_in(failure: HttpFailure, limit: int) -> Room | None:
    """Read that a request does not fit beside an answer of `limit` tokens; None when that is not said."""
    context = _first(_CONTEXT, failure.detail)
    prompt = _first(_PROMPT, failure.detail)
    if context is None:
        return None
    if prompt is None:
        requested = _first(_REQUESTED, failure.detail)
        if requested is None or requested <= limit:
            return None
        prompt = requested - limit
    return Room(context, context - prompt)


def adapted(sent: Sent, failure: HttpFailure) -> Sent | None:
    """How to send the request again after the service called it invalid; None when nothing is left to try.

    Each way leads further down, so that none is tried twice. Sentences are read where there is nothing else.
    """
    if (room := room_in(failure, sent.limit)) is None:
        return next(_ways(sent, failure), None)
    if SMALLEST_ANSWER <= room.left < sent.limit:
        return _but(sent, limit=room.left, context_tokens=room.context)
    return None


def _ways(sent: Sent, failure: HttpFailure) -> Iterator[Sent]:
    known = sent.accepted
    if known.temperature and _is_about(failure, "temperature"):
        yield _but(sent, temperature=False)
    if (most := _most_output(failure.detail, sent.limit)) is not None:
        yield _but(sent, limit=most, max_output_tokens=most)
    if not sent.renamed and _is_about(failure, *get_args(LimitName)):
        (other,) = set(get_args(LimitName)) - {known.limit_name}
        yield replace(_but(sent, limit_name=other), renamed=True)
    if failure.status == _TOO_LARGE:
        return
    if sent.calls_tools:
        yield from _less_of_tools(sent, failure)
    if sent.sends_schema:
        yield _but(sent, schema_style=SchemaStyle(known.schema_style + 1))


def _less_of_tools(sent: Sent, failure: HttpFailure) -> Iterator[Sent]:
    known = sent.accepted
    if known.thoughts and _is_about(failure, *_THOUGHTS):
        yield _but(sent, thoughts=False)
    if known.tool_style is ToolStyle.FREE and _is_about(failure, "tool_choice", "tool choice"):
        yield _but(sent, tool_style=ToolStyle.REQUIRED)
    if not sent.only_native:
        yield _but(sent, tool_style=ToolStyle.TEXT)


def _but(sent: Sent, *, limit: int | None = None, **learned: object) -> Sent:
    return replace(sent, accepted=sent.accepted.model_copy(update=learned), limit=limit or sent.limit)


def _is_about(failure: HttpFailure, *names: str) -> bool:
    return failure.param in names or (not failure.param and any(name in failure.detail for name in names))


def _most_output(detail: str, limit: int) -> int | None:
    """The largest number below the limit, when the limit of output tokens is spoken of."""
    if not _OUTPUT.search(detail):
        return None
    found = [_integer(digits) - bool(exclusive) for digits, exclusive in _NUMBER.findall(detail)]
    return max((number for number in found if SMALLEST_ANSWER <= number < limit), default=None)


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return _integer(next(filter(None, found.groups()))) if found else None


def _integer(digits: str) -> int:
    return int(digits.replace(",", "")[:12])

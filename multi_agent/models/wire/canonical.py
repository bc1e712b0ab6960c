"""The one form between all formats: what a request to a model and its answer say, whoever wrote them.

Formats are read into it and written from it. `at` is where something stood in the body it was read from, as
a JSON path, by which it is named when another format cannot say it; it is no part of what is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias

FormatName: TypeAlias = Literal["anthropic", "chat", "responses", "gemini"]
Role: TypeAlias = Literal["system", "user", "assistant"]
StopReason: TypeAlias = Literal[
    "end", "length", "context", "stop_sequence", "calls", "refusal", "pause", "malformed"
]
"""Why an answer ended; `context` where the model had no room left, `malformed` where its service could not
read a call."""


NO_ARGUMENTS: Final = "{}"
"""Of a call whose service said none: clients read an object."""


@dataclass(frozen=True, slots=True)
class WireSeal:
    """What a service wants back with a block: signatures, encrypted thoughts. Nobody else reads it."""

    owner: FormatName
    raw: Any
    """JSON, as the owner's writer puts it back."""
    of: str = ""
    """Where a format has no place for it at its block: the call that it belongs to, or "text"."""


@dataclass(frozen=True, slots=True)
class WireText:
    """What is said."""

    text: str
    cache: str = ""
    """That what leads up to here is to be cached, and for how long: "", "default", "5m", "1h" ..."""
    seal: WireSeal | None = None
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WireMedia:
    """An image or a document, by one of data, url and file_id."""

    kind: Literal["image", "document"]
    media_type: str = ""
    data: str = ""
    """Base64."""
    url: str = ""
    file_id: str = ""
    """What its service calls a file that was sent before."""
    owner: str = ""
    """Whose file_id it is."""
    title: str = ""
    cache: str = ""
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WireThought:
    """What a model thought. Without its own service's seal it cannot be sent back."""

    text: str
    seal: WireSeal | None = None
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WireCall:
    """A call of a tool."""

    call_id: str
    name: str
    arguments: str
    """A JSON object, unless the model made a mistake or was cut off."""
    seal: WireSeal | None = None
    cache: str = ""
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WireResult:
    """What came of a call."""

    call_id: str
    content: tuple[WireText | WireMedia, ...] = ()
    is_error: bool = False
    name: str = field(default="", compare=False)
    """Of the tool, which the call says too."""
    cache: str = ""
    at: str = field(default="", compare=False)


WireBlock: TypeAlias = WireText | WireMedia | WireThought | WireCall | WireResult


@dataclass(frozen=True, slots=True)
class WireTurn:
    """One turn. Results of calls stand first in the user's turn that follows the calls."""

    role: Role
    blocks: tuple[WireBlock, ...]
    at: str = field(default="", compare=False)

    @property
    def calls(self) -> tuple[WireCall, ...]:
        return tuple(block for block in self.blocks if isinstance(block, WireCall))

    @property
    def results(self) -> tuple[WireResult, ...]:
        return tuple(block for block in self.blocks if isinstance(block, WireResult))


@dataclass(frozen=True, slots=True)
class WireTool:
    """A tool that the model may call."""

    name: str
    description: str | None = None
    schema: Mapping[str, Any] = field(default_factory=dict)
    """The JSON Schema of its arguments."""
    strict: bool = False
    """Whether the service holds the model to the schema."""
    cache: str = ""
    at: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class WireChoice:
    """Whether tools are to be called."""

    mode: Literal["auto", "required", "none"] = "auto"
    names: tuple[str, ...] = ()
    """The tools that may be, () for all."""


@dataclass(frozen=True, slots=True)
class WireSchema:
    """That the answer is to be JSON."""

    schema: Mapping[str, Any] | None = None
    """None for any object."""
    name: str = ""
    description: str = ""
    strict: bool = False


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request. Turns of the system come first, but for such as were said later."""

    model: str = ""
    """"" where the format has it in the URL."""
    turns: tuple[WireTurn, ...] = ()
    tools: tuple[WireTool, ...] = ()
    choice: WireChoice = WireChoice()
    schema: WireSchema | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """By their names in `parameters.PARAMETERS`; what is not said is not there."""
    groups: tuple[str, ...] = field(default=(), compare=False)
    """Names of groups of tools, with which a client's names of tools begin (`grouped`)."""
    places: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Where parameters, "tool_choice" and "schema" stood, as JSON paths."""

    def place(self, name: str) -> str:
        return self.places.get(name, f"$.{name}")


@dataclass(frozen=True, slots=True)
class WireUsage:
    """Tokens."""

    given: int = 0
    """All of the request, cached ones included."""
    made: int = 0
    """All of the answer, thoughts included."""
    cached: int = 0
    """Of those given, had from the service's cache."""
    written: int = 0
    """Of those given, written to the cache."""
    thought: int = 0
    """Of those made, for thoughts."""


@dataclass(frozen=True, slots=True)
class WireResponse:
    """An answer."""

    response_id: str = ""
    model: str = ""
    blocks: tuple[WireBlock, ...] = ()
    stop: StopReason = "end"
    stop_sequence: str = ""
    usage: WireUsage | None = None
    """None where the service did not say."""


def merged(turns: list[WireTurn]) -> tuple[WireTurn, ...]:
    """Turns of one role in a row as one, as every service reads them; results first, and no empty texts."""
    found: list[WireTurn] = []
    for turn in turns:
        if found and found[-1].role == turn.role:
            found[-1] = replace(found[-1], blocks=found[-1].blocks + turn.blocks)
        else:
            found.append(turn)
    return tuple(replace(turn, blocks=_results_first(turn.blocks)) for turn in found)


def _results_first(blocks: tuple[WireBlock, ...]) -> tuple[WireBlock, ...]:
    return tuple(sorted(filter(_says_something, blocks), key=lambda block: not isinstance(block, WireResult)))


def _says_something(block: WireBlock) -> bool:
    """Whether it is no text of no characters, which clients send and services refuse."""
    return not isinstance(block, WireText) or bool(block.text or block.seal or block.cache)


@dataclass(frozen=True, slots=True)
class WireService:
    """What is known of the service that a request is written for."""

    model: str = ""
    """Instead of the model that the request names."""
    most_output: int = 16_384
    """Tokens of an answer where the request has no limit and the format wants one."""
    limit_name: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """What a server of chat completions calls the limit; many know its old name alone."""


@dataclass(frozen=True, slots=True)
class WireCaller:
    """What a client is told that no service said."""

    response_id: str
    """For an answer that came without one; unique, since calls without one are named by it too."""
    model: str = ""
    """For an answer that does not say it."""
    created: int = 0
    """Seconds since 1970."""
    stream_usage: bool = True
    """Whether a client of chat completions asked for the usage of a stream."""
    groups: tuple[str, ...] = ()
    """See WireRequest."""

    def call_id(self, index: int) -> str:
        """The id of a call to which its service gave none; `index` is its place in the answer."""
        return f"call_{self.response_id}_{index}"


def grouped(group: str, name: str) -> str:
    """The name of a tool in a group, which one format alone has."""
    return f"{group}__{name}" if group else name


def ungrouped(name: str, groups: Iterable[str]) -> tuple[str, str]:
    """The group of a tool, "" for none, and its name there."""
    for group in groups:
        if name.startswith(start := grouped(group, "")):
            return group, name.removeprefix(start)
    return "", name


def answered(blocks: Iterable[WireBlock], caller: WireCaller) -> tuple[WireBlock, ...]:
    """The blocks of an answer, without empty texts; each call has an id and arguments."""
    return tuple(
        replace(
            block,
            call_id=block.call_id or caller.call_id(index),
            arguments=block.arguments or NO_ARGUMENTS,
        )
        if isinstance(block, WireCall)
        else block
        for index, block in enumerate(filter(_says_something, blocks))
    )


def with_seal(block: WireBlock, seal: WireSeal) -> WireBlock:
    """A block with what its service wants back with it; one that can have none as it is."""
    return replace(block, seal=seal) if isinstance(block, WireText | WireThought | WireCall) else block

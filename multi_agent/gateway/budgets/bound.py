"""How much a request can take at most, before it is sent. Pure.

What a service adds by itself cannot be bounded: what it keeps of an earlier conversation, and what its own
tools find. A key that counts tokens or dollars may not ask for it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final

from multi_agent.gateway.budgets.limits import NANO, KeyAmount
from multi_agent.models.prices import Price
from multi_agent.models.wire.canonical import (
    FormatName,
    WireBlock,
    WireMedia,
    WireRequest,
    WireResult,
    WireUsage,
)
from multi_agent.models.wire.parameters import BY_NAME, put

_IMAGE_TOKENS: Final = 8_000
_DOCUMENT_TOKENS: Final = 300_000
"""A hundred pages, as text and as pictures."""
_TOOLS_TOKENS: Final = 1_000
"""What services say to a model about tools besides what the request says."""
_CALLS: Final[Mapping[FormatName, frozenset[str]]] = {
    "anthropic": frozenset({"custom", "bash", "text_editor", "computer", "memory"}),
    "chat": frozenset({"function", "custom"}),
    "responses": frozenset({"function", "custom", "local_shell", "apply_patch", "shell"}),
    "gemini": frozenset(),
}
"""Types of tools that the caller runs; those of Anthropic's have a date behind."""
_UNKNOWN: Final = (
    "previous_response_id",
    "conversation",
    "prompt",
    "cachedContent",
    "container",
    "mcp_servers",
    "web_search_options",
    "speed",
    "inference_geo",
    # Google takes these spellings too, and the readers of formats do not.
    "generation_config",
    "cached_content",
)
"""Fields that name what the request does not have, or another price."""
_OTHERWISE_SPELT: Final = "candidate_count"
_LIMITS: Final[Mapping[FormatName, tuple[str, ...]]] = {
    "anthropic": ("max_tokens",),
    "chat": ("max_tokens", "max_completion_tokens"),
    "responses": ("max_output_tokens",),
    "gemini": ("maxOutputTokens", "max_output_tokens"),
}
"""Where the limit of an answer stands; to many servers one below 1 says that there is none."""
_ELSEWHERE: Final = frozenset({"video_url", "audio_url", "input_video"})
"""Types of parts that name what may be of any length."""
_SAID: Final = ("messages", "system", "input", "contents", "systemInstruction", "system_instruction")
"""Where parts are."""
_ARGUMENTS: Final = frozenset({"args", "arguments", "input", "response"})
"""Of calls and their results: data of tools, whatever its fields are called."""
_OF_KNOWN_SIZE: Final = re.compile(r"image/.*|application/pdf", re.IGNORECASE)
"""Media types of files at Google for which there is a number above."""
_TIERS: Final = frozenset({None, "auto", "default", "standard", "standard_only", "flex", "batch"})


@dataclass(frozen=True, slots=True)
class RequestBound:
    """What a request can take."""

    given: int
    """Tokens of the request."""
    made: int
    """Tokens of all its answers."""
    surcharge: float = 0.0
    """What a token costs more that the service writes to its cache, as a part of its price."""

    def asked(self, price: Price) -> KeyAmount:
        """In tokens and money."""
        usage = WireUsage(self.given, self.made, written=self.given)
        return KeyAmount(self.given + self.made, self.cost(price, usage))

    def cost(self, price: Price, usage: WireUsage) -> int:
        """What a usage costs, in billionths of a dollar, rounded up."""
        written = math.ceil(usage.written * self.surcharge)
        return math.ceil(price.cost(usage.given + written, usage.made, usage.cached) * NANO)


NOTHING: Final = RequestBound(0, 0)


def added_tokens(body: Mapping[str, Any], request: WireRequest) -> int:
    """Tokens that are no text of a request: what images and documents in it may be, and tools."""
    media = sum(_media(block) for turn in request.turns for block in turn.blocks)
    return media + (_TOOLS_TOKENS if body.get("tools") else 0)


def cache_surcharge(name: FormatName, sent: bytes) -> float:
    """What a service of this format may take for a token more than its price, for writing it to its cache."""
    if name != "anthropic" or b"cache_control" not in sent:
        return 0.0
    return 1.0 if b'"1h"' in sent else 0.25


def output_limit(body: Mapping[str, Any], request: WireRequest) -> int | None:
    """The most tokens of one answer, as the caller says it; None where it does not."""
    # Which of the two names of chat completions counts, each server knows for itself.
    said = (request.parameters.get("max_tokens"), body.get("max_tokens"))
    return max((one for one in said if type(one) is int), default=None)


def unbounded(name: FormatName, body: Mapping[str, Any]) -> str | None:
    """The JSON path of what makes a request of unknown size or price; None where nothing does."""
    for field in _UNKNOWN:
        if body.get(field):
            return f"$.{field}"
    if body.get("service_tier") not in _TIERS:
        return "$.service_tier"
    return next(chain(_limits(name, body), _entries(name, body), _elsewhere(body)), None)


def answers_asked(body: Mapping[str, Any]) -> int:
    """How many answers are asked for at once."""
    config = body.get("generationConfig")
    asked = body.get("n") or (config.get("candidateCount") if isinstance(config, dict) else None)
    return asked if isinstance(asked, int) and asked > 1 else 1


def with_output_limit(name: FormatName, sent: dict[str, Any], most: int, chat_name: str) -> dict[str, Any]:
    """The body of a service with a limit of its answer, for a request that has none."""
    place = chat_name if name == "chat" else BY_NAME["max_tokens"].places[name]
    outer = place.partition(".")[0]
    limited = {**sent, outer: dict(sent[outer])} if isinstance(sent.get(outer), dict) else dict(sent)
    put(limited, place, most)
    return limited


def _limits(name: FormatName, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of what says how long answers are, and how many, and is no limit."""
    place, holder = ("$.generationConfig", body.get("generationConfig")) if name == "gemini" else ("$", body)
    if not isinstance(holder, Mapping):
        return
    for field in _LIMITS[name]:
        if type(said := holder.get(field)) is int and said < 1:
            yield f"{place}.{field}"
    if name == "gemini" and _OTHERWISE_SPELT in holder:
        yield f"{place}.{_OTHERWISE_SPELT}"


def _entries(name: FormatName, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of tools that the service runs, and of what stands for something it keeps."""
    for field, is_known in (("tools", partial(_is_the_callers, name)), ("input", _is_whole)):
        entries = body.get(field)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and not is_known(entry):
                yield f"$.{field}[{index}]"


def _elsewhere(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of films and the like that a request names, and of images within a document."""
    waiting = [(f"$.{field}", body[field]) for field in _SAID if field in body]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(f"{place}[{index}]", one) for index, one in enumerate(value)]
        elif isinstance(value, dict):
            if _names_any_length(value):
                yield place
            waiting += [(f"{place}.{key}", one) for key, one in value.items() if key not in _ARGUMENTS]


def _names_any_length(part: Mapping[str, Any]) -> bool:
    kind, file, source = part.get("type"), part.get("fileData") or part.get("file_data"), part.get("source")
    if isinstance(file, dict):
        said = file.get("mimeType") or file.get("mime_type")
        return not (isinstance(said, str) and _OF_KNOWN_SIZE.fullmatch(said))
    if isinstance(source, dict) and source.get("type") == "content":
        return not isinstance(source.get("content"), str) and '"source":' in json.dumps(source)
    return isinstance(kind, str) and kind in _ELSEWHERE


def _is_whole(item: Mapping[str, Any]) -> bool:
    return item.get("type") != "item_reference"


def _media(block: WireBlock) -> int:
    match block:
        case WireMedia(kind="image"):
            return _IMAGE_TOKENS
        case WireMedia():
            return _DOCUMENT_TOKENS
        case WireResult(content=content):
            return sum(map(_media, content))
        case _:
            return 0


def _is_the_callers(name: FormatName, tool: Mapping[str, Any]) -> bool:
    if name == "gemini":
        return not set(tool) - {"functionDeclarations", "function_declarations"}
    kind = tool.get("type")
    if kind is None:
        return True
    return isinstance(kind, str) and (kind in _CALLS[name] or _undated(kind) in _CALLS[name])


def _undated(kind: str) -> str:
    before, _, date = kind.rpartition("_")
    return before if date.isdigit() else kind

"""Reads chat completions as the many services write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from contracts.base.errors import ModelBlocked, ModelRefused, ModelUnavailable
from contracts.base.strict_json import has_more_parts
from contracts.ports.model import ModelResponse
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.failures import HttpFailure
from multi_agent.models.wire.canonical import WireBlock
from multi_agent.models.wire.chat_format.messages import read_blocks
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.port import port_blocks

_MAX_PARTS: Final = 50_000
"""Of names and values around the text of an answer, which is one of them."""
_MOST_ERROR_BYTES: Final = 1_000_000
_UNKNOWN_ERROR: Final = 502
_STATUS_WORDS: Final = {
    "rate_limit": 429,
    "too_many": 429,
    "overload": 503,
    "unavailable": 503,
    "timeout": 504,
}
"""Parts of the names of errors without a number, and the status that they would have had."""


def _text_of(content: object) -> object:
    """The text of content that comes as parts, without thoughts."""
    if not isinstance(content, list):
        return content
    texts = [
        part.get("text") if isinstance(part, dict) else part for part in content if not _is_thought(part)
    ]
    return "".join(text for text in texts if isinstance(text, str))


def _is_thought(part: object) -> bool:
    return isinstance(part, dict) and str(part.get("type", "text")) in ("thinking", "reasoning", "thought")


def _object(found: object) -> object:
    return found if isinstance(found, dict) else None


def _count(number: object) -> object:
    """A number of tokens; None for what is none."""
    return number if type(number) is int and number >= 0 else None


_Text = Annotated[str | None, BeforeValidator(_text_of)]
_Count = Annotated[int | None, BeforeValidator(_count)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="allow")

    content: _Text = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None

    @property
    def blocks(self) -> list[WireBlock]:
        """Its thoughts, text and calls."""
        return read_blocks(Fields(self.model_dump(), "$", Notes()))

    @property
    def text(self) -> str:
        """The content, or what the only tool was called with: some models answer so unasked."""
        if self.content or not self.tool_calls or len(self.tool_calls) > 1:
            return self.content or ""
        function = self.tool_calls[0].get("function")
        arguments = function.get("arguments") if isinstance(function, dict) else None
        return json.dumps(arguments) if isinstance(arguments, dict) else str(arguments or "")


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Details(BaseModel):
    cached_tokens: _Count = None


class _Usage(BaseModel):
    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: Annotated[_Details | None, BeforeValidator(_object)] = None
    prompt_cache_hit_tokens: _Count = None

    @property
    def made(self) -> int:
        """Output tokens. Some services leave thoughts out of them, and count them in the total alone."""
        return max(self.completion_tokens or 0, (self.total_tokens or 0) - (self.prompt_tokens or 0))

    @property
    def cached(self) -> int:
        """Input tokens that were cached, by either of two names."""
        details = self.prompt_tokens_details or _Details()
        cached = details.cached_tokens or self.prompt_cache_hit_tokens or 0
        return min(cached, self.prompt_tokens or 0)


class _Completion(BaseModel):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """The body of an answer, and what was asked for."""

    content: bytes
    calls_tools: bool
    """Whether tools were sent as tools."""


def read_completion(endpoint: Endpoint, received: Received, *, in_steps: bool) -> ModelResponse:
    """Read an answer. Raises ModelUnavailable for none, ModelRefused for a useless one.

    in_steps: whether the request had tools, in whatever form: whoever asked goes on from half an answer.
    """
    completion = _completion(endpoint, received.content)
    if not completion.choices:
        raise ModelRefused(f"model {endpoint.name} gave no answer")
    choice = completion.choices[0]
    was_cut = choice.finish_reason == "length"
    _check(endpoint, choice, in_steps=in_steps)
    usage = completion.usage or _Usage()
    given, made = usage.prompt_tokens or 0, usage.made
    message, native = choice.message, received.calls_tools
    return ModelResponse(
        text="" if native else message.text,
        model=completion.model or endpoint.model,
        input_tokens=given,
        output_tokens=made,
        cost_usd=endpoint.price.cost(given, made, usage.cached),
        cached_input_tokens=usage.cached,
        blocks=port_blocks(message.blocks, endpoint.name) if native else (),
        end="length" if was_cut else "",
    )


def _completion(endpoint: Endpoint, content: bytes) -> _Completion:
    completion = None
    if not has_more_parts(content, _MAX_PARTS):
        with suppress(ValidationError):
            completion = _Completion.model_validate_json(content)
    if completion is None or "choices" not in completion.model_fields_set:
        raise ModelUnavailable(
            f"model {endpoint.name}: the answer is no chat completion; check {endpoint.url_setting}"
        )
    return completion


def _check(endpoint: Endpoint, choice: _Choice, *, in_steps: bool) -> None:
    name = endpoint.name
    if choice.finish_reason == "length" and not in_steps:
        raise ModelRefused(
            f"model {name}: the answer was cut off at the limit of output tokens "
            "(MULTI_AGENT_MAX_OUTPUT_TOKENS), or of the server's context"
        )
    if choice.finish_reason == "content_filter":
        raise ModelBlocked(f"model {name}: the answer was blocked by the content filter")
    if choice.message.refusal:
        raise ModelBlocked(f"model {name} refused: {endpoint.scrub(choice.message.refusal)}")
    if not choice.message.text and not in_steps:
        raise ModelRefused(f"model {name} gave an empty answer")


def failure_in(content: bytes) -> HttpFailure | None:
    """Read the error that a body is or holds, whatever status it came with; None when it holds none."""
    if b'"error"' not in content or len(content) > _MOST_ERROR_BYTES or has_more_parts(content, _MAX_PARTS):
        return None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    error = _error_in(body)
    if not error:
        return None
    if not isinstance(error, Mapping):
        error = {"message": error}
    code, kind = error.get("code"), error.get("type")
    return HttpFailure(
        status=_status(code, kind),
        detail=str(error.get("message") or error.get("detail") or ""),
        param=str(error.get("param") or ""),
        code=next((name for name in (code, kind) if isinstance(name, str) and not name.isdigit()), ""),
    )


def _error_in(body: Any) -> Any:
    if not isinstance(body, Mapping):
        return None
    if body.get("object") == "error":
        return body
    if body.get("error"):
        return body["error"]
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, Mapping) else None


def _status(code: object, kind: object) -> int:
    digits = str(code)
    if digits.isascii() and digits.isdigit() and len(digits) == 3 and digits >= "400":
        return int(digits)
    named = f"{code} {kind}".lower()
    return next((status for word, status in _STATUS_WORDS.items() if word in named), _UNKNOWN_ERROR)

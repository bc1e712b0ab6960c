"""OpenAI's responses, and servers that speak them, through the `openai` SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ValidationError

from contracts.base.errors import ModelBlocked, ModelRefused, ModelUnavailable
from contracts.base.strict_json import has_more_parts
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models.adapters.accepted import SchemaStyle
from multi_agent.models.adapters.adapting import Way
from multi_agent.models.adapters.chat_completion import failure_in
from multi_agent.models.adapters.endpoint import Endpoint, with_schema_in_words
from multi_agent.models.adapters.failures import ErrorInAnswer
from multi_agent.models.adapters.openai_sdk.openai_client import (
    OpenAiClient,
    read_openai_failure,
    schema_name,
)
from multi_agent.models.wire.canonical import WireBlock
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.port import PortReader, port_blocks, port_tool
from multi_agent.models.wire.responses_format.items import read_item, write_items
from multi_agent.models.wire.responses_format.requests import SEALS, write_tool

_MAX_PARTS: Final = 50_000
"""Of names and values around the text of an answer."""


def _count(number: object) -> object:
    return number if type(number) is int and number >= 0 else 0


def _object(found: object) -> object:
    return found if isinstance(found, dict) else {}


_Count = Annotated[int, BeforeValidator(_count)]


class _Cached(BaseModel):
    cached_tokens: _Count = 0


class _ResponsesUsage(BaseModel):
    input_tokens: _Count = 0
    input_tokens_details: Annotated[_Cached, BeforeValidator(_object)] = _Cached()
    output_tokens: _Count = 0


class _Details(BaseModel):
    reason: str | None = None


class _Answer(BaseModel):
    output: list[dict[str, Any]]
    model: str | None = None
    incomplete_details: Annotated[_Details, BeforeValidator(_object)] = _Details()
    usage: Annotated[_ResponsesUsage, BeforeValidator(_object)] = _ResponsesUsage()

    @property
    def blocks(self) -> list[WireBlock]:
        """Its thoughts, text and calls."""
        items = Fields({"output": self.output}, "$", Notes()).children("output")
        return [block for item in items for block in read_item(item).blocks]

    def said(self, kind: str, field: str) -> str:
        """The texts of one kind of part, together."""
        return "".join(str(part.get(field) or "") for part in self._parts() if part.get("type") == kind)

    def _parts(self) -> Iterator[dict[str, Any]]:
        for item in self.output:
            content = item.get("content") if item.get("type", "message") == "message" else None
            yield from (part for part in content or () if isinstance(part, dict))


@dataclass(frozen=True, slots=True)
class _Received:
    answer: _Answer
    calls_tools: bool
    """Whether tools were sent as tools."""


class OpenAiResponses(OpenAiClient):
    """A ModelClient for responses, of which the service keeps nothing.

    Thoughts go back to the model that had them, as its service sealed them. A schema is sent as
    `text.format`, or in words; which works, and what else the server accepts, is learned (`Adapting`).
    """

    async def complete(self, request: ModelRequest) -> ModelResponse:
        received = await self._adapting.ask(request, self._send, read_openai_failure)
        return self._noting_usage(_read(self._endpoint, received, in_steps=bool(request.tools)))

    async def _send(self, way: Way) -> _Received:
        # The raw body: the SDK does not validate its models, so a wrong answer would fail later.
        raw = await self._client.responses.with_raw_response.create(**self._body(way))
        content: bytes = raw.http_response.content
        if failure := failure_in(content):
            raise ErrorInAnswer(failure)
        answer = None
        if not has_more_parts(content, _MAX_PARTS):
            with suppress(ValidationError):
                answer = _Answer.model_validate_json(content)
        if answer is None:
            raise ModelUnavailable(
                f"model {self.name}: the answer is none of OpenAI's responses; check "
                f"{self._endpoint.url_setting}, or ask the server for chat completions (openai:MODEL)"
            )
        return _Received(answer, bool(way.request.tools))

    def _body(self, way: Way) -> dict[str, Any]:
        request, system, notes = way.request, way.request.system, Notes()
        reader = PortReader("responses", self.name if way.thoughts else "")
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "input": write_items(reader.turns(request), notes),
            "max_output_tokens": way.limit,
            "store": False,
        }
        if way.thoughts:
            body["include"] = [SEALS]
        if request.response_schema is not None:
            schema = json.dumps(request.response_schema, default=dict)
            if way.schema_style is SchemaStyle.JSON_SCHEMA:
                named = {"name": schema_name(request.purpose), "schema": json.loads(schema), "strict": False}
                body["text"] = {"format": {"type": "json_schema", **named}}
            else:
                system = with_schema_in_words(request, schema)
            if way.schema_style is SchemaStyle.JSON_OBJECT:
                body["text"] = {"format": {"type": "json_object"}}
        if system:
            body["instructions"] = system
        if request.tools:
            body["tools"] = [write_tool(port_tool(tool), notes) for tool in request.tools]
            body["tool_choice"] = "required" if way.must_call else "auto"
        if way.temperature is not None:
            body["temperature"] = way.temperature
        return body


def _read(endpoint: Endpoint, received: _Received, *, in_steps: bool) -> ModelResponse:
    """Read an answer. Raises ModelRefused for a useless one.

    in_steps: whether the request had tools, in whatever form: whoever asked goes on from half an answer.
    """
    answer, native = received.answer, received.calls_tools
    was_cut = _check(endpoint, answer, in_steps=in_steps)
    usage = answer.usage
    given, made = usage.input_tokens, usage.output_tokens
    cached = min(usage.input_tokens_details.cached_tokens, given)
    return ModelResponse(
        text="" if native else answer.said("output_text", "text"),
        model=answer.model or endpoint.model,
        input_tokens=given,
        output_tokens=made,
        cost_usd=endpoint.price.cost(given, made, cached),
        cached_input_tokens=cached,
        blocks=port_blocks(answer.blocks, endpoint.name) if native else (),
        end="length" if was_cut else "",
    )


def _check(endpoint: Endpoint, answer: _Answer, *, in_steps: bool) -> bool:
    """Whether the answer was cut off."""
    name, reason = endpoint.name, answer.incomplete_details.reason
    if reason == "content_filter":
        raise ModelBlocked(f"model {name}: the answer was blocked by the content filter")
    if refusal := answer.said("refusal", "refusal"):
        raise ModelBlocked(f"model {name} refused: {endpoint.scrub(refusal)}")
    if reason and not in_steps:
        raise ModelRefused(
            f"model {name}: the answer was cut off at the limit of output tokens "
            "(MULTI_AGENT_MAX_OUTPUT_TOKENS), or of the server's context"
        )
    if not answer.said("output_text", "text").strip() and not in_steps:
        raise ModelRefused(f"model {name} gave an empty answer")
    return bool(reason)

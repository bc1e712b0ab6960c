"""Claude, and other services that speak Anthropic's Messages API, through the `anthropic` SDK."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final

import anthropic
from pydantic import BaseModel, BeforeValidator, ValidationError

from contracts.base.errors import ModelBlocked, ModelRefused, ModelUnavailable
from contracts.base.strict_json import has_more_parts
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models.adapters.accepted import Accepted, SchemaStyle
from multi_agent.models.adapters.adapting import Adapting, Knowledge, Way
from multi_agent.models.adapters.chat_completion import failure_in
from multi_agent.models.adapters.endpoint import Endpoint, with_schema_in_words
from multi_agent.models.adapters.failures import ErrorInAnswer, HttpFailure, check
from multi_agent.models.adapters.http_body import PLAIN_ANSWERS, body_limit
from multi_agent.models.adapters.retry_after import retry_after_seconds
from multi_agent.models.wire.anthropic_format.blocks import read_content, write_blocks
from multi_agent.models.wire.anthropic_format.requests import write_tool, write_turns
from multi_agent.models.wire.canonical import WireBlock, WireText
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.port import PortReader, port_blocks, port_tool

_ADDRESS: Final = "https://api.anthropic.com"
_NO_KEY: Final = "none"
_MAX_PARTS: Final = 50_000
_CUT: Final = frozenset({"max_tokens", "model_context_window_exceeded"})
_SPENT: Final = "credit balance"
"""In what the service says where an account must be paid first; the status is that of an invalid request."""
_PAY: Final = 402


def _count(number: object) -> object:
    return number if type(number) is int and number >= 0 else 0


_Count = Annotated[int, BeforeValidator(_count)]


class _Usage(BaseModel):
    input_tokens: _Count = 0
    cache_creation_input_tokens: _Count = 0
    cache_read_input_tokens: _Count = 0
    output_tokens: _Count = 0

    @property
    def given(self) -> int:
        """All input tokens; the service counts those beside its cache alone."""
        return self.input_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens

    @property
    def surcharge(self) -> int:
        """What tokens written to the cache cost more than others, in tokens."""
        return self.cache_creation_input_tokens // 4


class _Message(BaseModel):
    content: list[dict[str, Any]]
    model: str = ""
    stop_reason: str | None = None
    usage: _Usage = _Usage()

    @property
    def blocks(self) -> list[WireBlock]:
        """What it says, thoughts and calls."""
        return read_content(Fields({"content": self.content}, "$", Notes()), "content")

    @property
    def text(self) -> str:
        """What it says, without thoughts."""
        return "".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")


class AnthropicService:
    """A ModelClient for Anthropic messages.

    A schema is sent as `output_config`, in the subset that the service knows, or in the system text; which
    of them works, and what else it accepts, is learned (`Adapting`). A temperature is never sent: current
    models take none.
    """

    def __init__(self, endpoint: Endpoint, knowledge: Knowledge) -> None:
        self._endpoint = endpoint
        told = replace(knowledge.told, with_temperature=False)
        self._adapting = Adapting(endpoint, replace(knowledge, told=told), Accepted(temperature=False))
        key = endpoint.key_text or _NO_KEY
        # Servers that speak the protocol look for the key where its first version had it.
        also = {"x-api-key": key} if endpoint.base_url else {}
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=endpoint.base_url or _ADDRESS,
            timeout=endpoint.timeout_seconds,
            max_retries=0,
            default_headers={**PLAIN_ANSWERS, **also},
            http_client=anthropic.DefaultAsyncHttpxClient(
                event_hooks={"response": [body_limit(endpoint.max_body_bytes)]}
            ),
        )

    @property
    def name(self) -> str:
        return self._endpoint.name

    async def complete(self, request: ModelRequest) -> ModelResponse:
        message, calls_tools = await self._adapting.ask(request, self._send, _read_failure)
        was_cut = message.stop_reason in _CUT
        self._check(message, was_cut=was_cut, in_steps=bool(request.tools))
        usage = message.usage
        given, cached = usage.given, usage.cache_read_input_tokens
        return ModelResponse(
            text="" if calls_tools else message.text,
            model=message.model or self._endpoint.model,
            input_tokens=given,
            output_tokens=usage.output_tokens,
            cost_usd=self._endpoint.price.cost(given + usage.surcharge, usage.output_tokens, cached),
            cached_input_tokens=cached,
            blocks=port_blocks(message.blocks, self.name) if calls_tools else (),
            end="length" if was_cut else "",
        )

    async def check(self) -> None:
        """See ServiceClient. Compatible servers may list other names than those that they answer to."""
        models, own = self._client.models.with_raw_response, self._endpoint.base_url is None
        ask_for = partial(models.retrieve, self._endpoint.model) if own else models.list
        await check(self._endpoint, ask_for, _read_failure, is_about_model=own)

    async def close(self) -> None:
        await self._client.close()

    async def _send(self, way: Way) -> tuple[_Message, bool]:
        """The answer, and whether tools were sent as tools."""
        raw = await self._client.messages.with_raw_response.create(**self._body(way))
        content: bytes = raw.http_response.content
        if failure := failure_in(content):
            raise ErrorInAnswer(failure)
        message = None
        if not has_more_parts(content, _MAX_PARTS):
            with suppress(ValidationError):
                message = _Message.model_validate_json(content)
        if message is None:
            raise ModelUnavailable(
                f"model {self.name}: the answer is no Anthropic message; check {self._endpoint.url_setting}"
            )
        return message, bool(way.request.tools)

    def _body(self, way: Way) -> dict[str, Any]:
        request, system = way.request, way.request.system
        reader, notes = PortReader("anthropic", self.name if way.thoughts else ""), Notes()
        messages = write_turns(reader.turns(request), notes)
        body: dict[str, Any] = {"model": self._endpoint.model, "max_tokens": way.limit, "messages": messages}
        if request.response_schema is not None:
            schema = json.dumps(request.response_schema, default=dict)
            if way.schema_style is SchemaStyle.JSON_SCHEMA:
                known = anthropic.transform_schema(json.loads(schema))
                body["output_config"] = {"format": {"type": "json_schema", "schema": known}}
            else:
                system = with_schema_in_words(request, schema)
        if request.tools:
            body["tools"] = [write_tool(port_tool(tool), notes) for tool in request.tools]
            body["tool_choice"] = {"type": "any" if way.must_call else "auto"}
        if system.strip():
            # After the tools the part that all requests of a conversation have in common.
            cache = "default" if request.tools else ""
            body["system"] = write_blocks((WireText(system, cache),), notes)
        return body

    def _check(self, message: _Message, *, was_cut: bool, in_steps: bool) -> None:
        if message.stop_reason == "refusal":
            said = self._endpoint.scrub(message.text)
            raise ModelBlocked(f"model {self.name}: blocked, it refused: {said}")
        if was_cut and not in_steps:
            raise ModelRefused(
                f"model {self.name}: the answer was cut off at the limit of output tokens "
                "(MULTI_AGENT_MAX_OUTPUT_TOKENS), or of the model's context"
            )
        if not message.text.strip() and not in_steps:
            raise ModelRefused(f"model {self.name} gave an empty answer")


def _read_failure(error: Exception) -> HttpFailure | None:
    if not isinstance(error, anthropic.APIStatusError):
        return None
    said = failure_in(error.response.content)
    detail = said.detail if said else error.message
    return HttpFailure(
        status=_PAY if _SPENT in detail else error.status_code,
        detail=detail,
        retry_after=retry_after_seconds(error.response.headers),
        code=said.code if said else "",
    )

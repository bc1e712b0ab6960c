"""OpenAI, Ollama, vLLM, llama.cpp and other services with chat completions, through the `openai` SDK."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any, Final

import openai
import structlog

from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models.adapters.accepted import Accepted, SchemaStyle
from multi_agent.models.adapters.adapting import Adapting, Knowledge, Way
from multi_agent.models.adapters.chat_completion import Received, failure_in, read_completion
from multi_agent.models.adapters.endpoint import Endpoint, with_schema_in_words
from multi_agent.models.adapters.failures import ErrorInAnswer, HttpFailure, check
from multi_agent.models.adapters.http_body import PLAIN_ANSWERS, body_limit
from multi_agent.models.adapters.retry_after import retry_after_seconds
from multi_agent.models.wire.chat_format.messages import write_messages
from multi_agent.models.wire.chat_format.requests import write_tool
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.port import PortReader, port_tool

_NO_KEY: Final = "none"

_log = structlog.get_logger(__name__)


class OpenAiCompatible:
    """A ModelClient for chat completions.

    A schema is sent as `response_format` json_schema, as json_object with the schema in the system text, or
    in that text alone, and tools as `tools` or in that text; which of them works, and what else the server
    accepts, is learned (`Adapting`).
    """

    def __init__(self, endpoint: Endpoint, knowledge: Knowledge) -> None:
        self._endpoint = endpoint
        # OpenAI has renamed the limit; most compatible servers know only the old name.
        default = Accepted(limit_name="max_tokens" if endpoint.base_url else "max_completion_tokens")
        self._adapting = Adapting(endpoint, knowledge, default)
        self._is_usage_missed = False
        self._client = openai.AsyncOpenAI(
            # Local servers need no key, but without one the SDK reads the environment.
            api_key=endpoint.key_text or _NO_KEY,
            base_url=endpoint.base_url or "https://api.openai.com/v1",
            timeout=endpoint.timeout_seconds,
            max_retries=0,
            default_headers=PLAIN_ANSWERS,
            http_client=openai.DefaultAsyncHttpxClient(
                event_hooks={"response": [body_limit(endpoint.max_body_bytes)]}
            ),
        )

    @property
    def name(self) -> str:
        return self._endpoint.name

    async def complete(self, request: ModelRequest) -> ModelResponse:
        received = await self._adapting.ask(request, self._send, _read_failure)
        response = read_completion(self._endpoint, received, in_steps=bool(request.tools))
        if not response.input_tokens and not self._is_usage_missed:
            self._is_usage_missed = True
            _log.warning("model_usage_unknown", model=self.name, counted_as=0)
        return response

    async def check(self) -> None:
        """See ServiceClient. Compatible servers may list other names than those that they answer to."""
        models, named = self._client.models.with_raw_response, self._endpoint.model
        own = self._endpoint.base_url is None
        ask_for = partial(models.retrieve, named) if own else models.list
        await check(self._endpoint, ask_for, _read_failure, is_about_model=own)

    async def close(self) -> None:
        await self._client.close()

    async def _send(self, way: Way) -> Received:
        # The raw body: the SDK does not validate its models, so a wrong answer would fail later.
        body = self._body(way)
        raw = await self._client.chat.completions.with_raw_response.create(**body)
        content: bytes = raw.http_response.content
        if failure := failure_in(content):
            raise ErrorInAnswer(failure)
        return Received(content, bool(way.request.tools))

    def _body(self, way: Way) -> dict[str, Any]:
        request, system = way.request, way.request.system
        body: dict[str, Any] = {"model": self._endpoint.model}
        if request.response_schema is not None:
            schema = json.dumps(request.response_schema, default=dict)
            if way.schema_style is SchemaStyle.JSON_SCHEMA:
                named = {"name": _schema_name(request.purpose), "schema": json.loads(schema)}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            else:
                system = with_schema_in_words(request, schema)
            if way.schema_style is SchemaStyle.JSON_OBJECT:
                body["response_format"] = {"type": "json_object"}
        reader, notes = PortReader("chat", self.name if way.thoughts else ""), Notes()
        said = write_messages(reader.turns(request), notes)
        body["messages"] = [{"role": "system", "content": system}, *said] if system else said
        if request.tools:
            body["tools"] = [write_tool(port_tool(tool), notes) for tool in request.tools]
            body["tool_choice"] = "required" if way.must_call else "auto"
        if way.temperature is not None:
            body["temperature"] = way.temperature
        body[way.limit_name] = way.limit
        return body


def _schema_name(purpose: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", purpose)[:64] or "answer"


def _read_failure(error: Exception) -> HttpFailure | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    said = failure_in(error.response.content)
    return HttpFailure(
        status=error.status_code,
        detail=said.detail if said else error.message,
        retry_after=retry_after_seconds(error.response.headers),
        param=said.param if said else "",
        code=said.code if said else "",
    )

"""OpenAI, Ollama, vLLM, llama.cpp and other services with chat completions, through the `openai` SDK."""

from __future__ import annotations

import json
from typing import Any

from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models.adapters.accepted import SchemaStyle
from multi_agent.models.adapters.adapting import Way
from multi_agent.models.adapters.chat_completion import Received, failure_in, read_completion
from multi_agent.models.adapters.endpoint import with_schema_in_words
from multi_agent.models.adapters.failures import ErrorInAnswer
from multi_agent.models.adapters.openai_sdk.openai_client import (
    OpenAiClient,
    read_openai_failure,
    schema_name,
)
from multi_agent.models.wire.chat_format.messages import write_messages
from multi_agent.models.wire.chat_format.requests import write_tool
from multi_agent.models.wire.fields import Notes
from multi_agent.models.wire.port import PortReader, port_tool


class OpenAiCompatible(OpenAiClient):
    """A ModelClient for chat completions.

    A schema is sent as `response_format` json_schema, as json_object with the schema in the system text, or
    in that text alone, and tools as `tools` or in that text; which of them works, and what else the server
    accepts, is learned (`Adapting`).
    """

    async def complete(self, request: ModelRequest) -> ModelResponse:
        received = await self._adapting.ask(request, self._send, read_openai_failure)
        return self._noting_usage(read_completion(self._endpoint, received, in_steps=bool(request.tools)))

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
                named = {"name": schema_name(request.purpose), "schema": json.loads(schema)}
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

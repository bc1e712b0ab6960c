"""OpenAI, Ollama, vLLM, llama.cpp and other services with chat completions, through the `openai` SDK."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from enum import IntEnum
from functools import partial
from typing import Any, Final

import openai
from pydantic import BaseModel, ValidationError

from contracts.base.errors import ModelRefused, ModelUnavailable
from contracts.base.strict_json import has_more_parts
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models.adapters.endpoint import (
    Endpoint,
    HttpFailure,
    ask,
    rejected,
    retry_after_seconds,
    with_schema_in_words,
)
from multi_agent.models.adapters.http_body import PLAIN_ANSWERS, body_limit

_ROLES: Final = {"user": "user", "model": "assistant"}
_NO_KEY: Final = "none"
_MAX_PARTS: Final = 50_000
"""Of names and values around the text of an answer, which is one of them."""


class _SchemaStyle(IntEnum):
    """How a schema is sent, best first."""

    JSON_SCHEMA = 0
    JSON_OBJECT = 1
    WORDS = 2


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    choices: list[_Choice]
    model: str | None = None
    usage: _Usage | None = None


class OpenAiCompatible:
    """A ModelClient for chat completions.

    A schema is sent as `response_format` json_schema. If the server calls this invalid, json_object is tried,
    then only the system text. The way that worked is used from then on, and so is leaving out the temperature
    when the server does not accept one.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._style = _SchemaStyle.JSON_SCHEMA
        self._takes_temperature = True
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
        style, with_temperature = self._style, self._takes_temperature
        if request.response_schema is None:
            style = _SchemaStyle.WORDS
        while True:
            body = self._body(request, style, with_temperature)
            outcome = await ask(self._endpoint, partial(self._send, body), _read_failure)
            if isinstance(outcome, bytes):
                break
            if outcome.param == "temperature" and with_temperature:
                with_temperature = False
            elif style < _SchemaStyle.WORDS:
                style = _SchemaStyle(style + 1)
            else:
                raise rejected(self._endpoint, outcome)
        self._takes_temperature = with_temperature
        if request.response_schema is not None:
            self._style = style
        return self._read(outcome)

    async def close(self) -> None:
        await self._client.close()

    async def _send(self, body: dict[str, Any]) -> bytes:
        # The raw body: the SDK does not validate its models, so a wrong answer would fail later.
        raw = await self._client.chat.completions.with_raw_response.create(**body)
        content: bytes = raw.http_response.content
        return content

    def _body(self, request: ModelRequest, style: _SchemaStyle, with_temperature: bool) -> dict[str, Any]:
        system = request.system
        body: dict[str, Any] = {"model": self._endpoint.model}
        if request.response_schema is not None:
            schema = json.dumps(request.response_schema, default=dict)
            if style is _SchemaStyle.JSON_SCHEMA:
                named = {"name": _schema_name(request.purpose), "schema": json.loads(schema)}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            else:
                system = with_schema_in_words(request, schema)
            if style is _SchemaStyle.JSON_OBJECT:
                body["response_format"] = {"type": "json_object"}
        turns = [{"role": _ROLES[turn.role], "content": turn.text} for turn in request.messages]
        body["messages"] = [{"role": "system", "content": system}, *turns] if system else turns
        if with_temperature:
            body["temperature"] = request.temperature
        # OpenAI has renamed the limit; compatible servers know only the old name.
        limit = "max_tokens" if self._endpoint.base_url else "max_completion_tokens"
        body[limit] = request.max_output_tokens
        return body

    def _read(self, content: bytes) -> ModelResponse:
        completion = None
        if not has_more_parts(content, _MAX_PARTS):
            with suppress(ValidationError):
                completion = _Completion.model_validate_json(content)
        if completion is None:
            raise ModelUnavailable(f"model {self.name}: the answer is no chat completion; check the base URL")
        if not completion.choices:
            raise ModelRefused(f"model {self.name} gave no answer")
        choice = completion.choices[0]
        self._check(choice)
        usage = completion.usage or _Usage()
        return ModelResponse(
            text=choice.message.content or "",
            model=completion.model or self._endpoint.model,
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cost_usd=self._endpoint.price.cost(usage.prompt_tokens, usage.completion_tokens),
        )

    def _check(self, choice: _Choice) -> None:
        if choice.finish_reason == "length":
            raise ModelRefused(f"model {self.name}: the answer was cut off at the limit of output tokens")
        if choice.finish_reason == "content_filter":
            raise ModelRefused(f"model {self.name}: the answer was blocked by the content filter")
        if choice.message.refusal:
            raise ModelRefused(f"model {self.name} refused: {self._endpoint.scrub(choice.message.refusal)}")
        if not choice.message.content:
            raise ModelRefused(f"model {self.name} gave an empty answer")


def _schema_name(purpose: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", purpose)[:64] or "answer"


def _read_failure(error: Exception) -> HttpFailure | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    return HttpFailure(
        status=error.status_code,
        detail=error.message,
        retry_after=retry_after_seconds(error.response.headers),
        param=str(getattr(error, "param", None) or ""),
    )

"""Gemini through google-generativeai, which Google no longer maintains.

Its asyncio client is broken over REST, so the blocking client runs in a thread; its own retries are off. It
does not know thoughts, whose parts would look like the answer, so they are removed from the body before the
SDK parses it. It accepts only a small subset of JSON Schema, so the schema is sent in the system text, with
the JSON MIME type, and tools are described there too.
"""

from __future__ import annotations

import asyncio
import json
import time
import warnings
from dataclasses import replace
from importlib import import_module
from io import BytesIO
from typing import Any, Final, cast

from contracts.base.errors import ModelRefused, ModelUnavailable
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models.adapters.accepted import Accepted, SchemaStyle, ToolStyle
from multi_agent.models.adapters.adapting import Adapting, Knowledge, Way
from multi_agent.models.adapters.endpoint import Endpoint, with_schema_in_words
from multi_agent.models.adapters.failures import HttpFailure
from multi_agent.models.adapters.gemini_finish import check_gemini_end, google_status
from multi_agent.models.adapters.retry_after import google_retry_delay, retry_after_seconds

with warnings.catch_warnings():
    # Its end of life is stated above and in the documentation; users need no further warning.
    warnings.filterwarnings(
        "ignore",
        message=r"\s*All support for the `google.generativeai` package has ended",
        category=FutureWarning,
    )
    # google.api_core announces, at import, when it will drop a Python version.
    warnings.filterwarnings(
        "ignore", message="You are using a Python version", category=FutureWarning, module="google.api_core"
    )
    from google.api_core import exceptions
    from google.generativeai.client import get_default_generative_client

    # Its type information lacks most names.
    legacy: Any = import_module("google.generativeai")

_CHUNK_BYTES: Final = 65_536


class GeminiLegacy:
    """A ModelClient for the Gemini API. A call that timed out is abandoned; its thread ends later."""

    def __init__(self, endpoint: Endpoint, knowledge: Knowledge) -> None:
        self._endpoint = endpoint
        in_text = replace(knowledge.told, tool_style=ToolStyle.TEXT, only_native=False)
        self._adapting = Adapting(
            endpoint, replace(knowledge, told=in_text), Accepted(schema_style=SchemaStyle.JSON_OBJECT)
        )
        legacy.configure(
            api_key=endpoint.key_text,
            transport="rest",
            client_options={"api_endpoint": endpoint.base_url.rstrip("/")} if endpoint.base_url else None,
        )
        # `configure` is global, but this client object is not affected by later calls. Its session is private
        # and untyped, hence the cast.
        self._client = cast(Any, get_default_generative_client())
        self._session = self._client.transport._session
        # After a 401 it would refresh the credentials and ask again, but a key cannot be refreshed.
        self._session._max_refresh_attempts = 0
        self._session.hooks["response"].append(self._read_body)

    @property
    def name(self) -> str:
        return self._endpoint.name

    async def complete(self, request: ModelRequest) -> ModelResponse:
        response = await self._adapting.ask(
            request, lambda way: asyncio.to_thread(self._send, self._message(way)), _read_failure
        )
        return self._read(response, in_steps=bool(request.tools))

    async def check(self) -> None:
        """See ServiceClient. Its SDK has no question that could be cancelled, so none is asked."""

    async def close(self) -> None:
        await asyncio.to_thread(self._session.close)

    def _message(self, way: Way) -> Any:
        protos, request = legacy.protos, way.request
        system, mime = request.system, ""
        if request.response_schema is not None:
            system = with_schema_in_words(request, json.dumps(request.response_schema, default=dict))
            mime = "" if way.schema_style is SchemaStyle.WORDS else "application/json"
        return protos.GenerateContentRequest(
            model=f"models/{self._endpoint.model.removeprefix('models/')}",
            system_instruction=protos.Content(parts=[protos.Part(text=system)]) if system else None,
            contents=[
                protos.Content(role=turn.role, parts=[protos.Part(text=turn.text)])
                for turn in request.messages
            ],
            generation_config=protos.GenerationConfig(
                temperature=way.temperature,
                max_output_tokens=way.limit,
                response_mime_type=mime,
            ),
        )

    def _send(self, message: Any) -> Any:
        return self._client.generate_content(message, retry=None, timeout=self._endpoint.timeout_seconds)

    def _read_body(self, response: Any, **_: object) -> None:
        """Read the body within limits of size and time, which `requests` does not have."""
        deadline = time.monotonic() + self._endpoint.timeout_seconds
        body = bytearray()
        try:
            while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
                body += chunk
                if len(body) > self._endpoint.max_body_bytes:
                    raise ModelRefused(
                        f"the service answered with more than {self._endpoint.max_body_bytes:,} bytes; "
                        "ask for less at once"
                    )
                if time.monotonic() > deadline:
                    raise ModelUnavailable(f"no answer within {self._endpoint.timeout_seconds:g} s")
        finally:
            response.raw.close()
        response.raw = BytesIO(_without_thoughts(bytes(body)))

    def _read(self, response: Any, *, in_steps: bool) -> ModelResponse:
        candidate = response.candidates[0] if response.candidates else None
        text = "".join(part.text for part in candidate.content.parts) if candidate else ""
        end = check_gemini_end(
            self.name,
            blocked=_enum_text(response.prompt_feedback.block_reason),
            finish=_enum_text(candidate.finish_reason) if candidate else "",
            text=text,
            in_steps=in_steps,
        )
        usage = response.usage_metadata
        given = usage.prompt_token_count
        made = max(usage.total_token_count - given, usage.candidates_token_count)
        return ModelResponse(
            text=text,
            model=response.model_version or self._endpoint.model,
            input_tokens=given,
            output_tokens=made,
            cost_usd=self._endpoint.price.cost(given, made),
            end=end,
        )


def _without_thoughts(body: bytes) -> bytes:
    """Remove the parts marked `thought`; a body that is not such JSON is returned unchanged."""
    try:
        answer = json.loads(body)
        for candidate in answer.get("candidates", []):
            content = candidate.get("content", {})
            content["parts"] = [part for part in content.get("parts", []) if not part.get("thought")]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return body  # the SDK reports the problem
    return json.dumps(answer).encode()


def _enum_text(value: Any) -> str:
    """Return a proto enum's name; values newer than this SDK are plain numbers."""
    return str(getattr(value, "name", value))


def _read_failure(error: Exception) -> HttpFailure | None:
    if not isinstance(error, exceptions.GoogleAPICallError) or error.code is None:
        return None
    body = _json_of(error.response)
    retry_after = retry_after_seconds(getattr(error.response, "headers", None) or {})
    # Not `error.message`, which holds the URL too.
    detail = body.get("error", {}).get("message", "") if isinstance(body, dict) else ""
    return HttpFailure(
        status=google_status(int(error.code), body),
        detail=str(detail),
        retry_after=google_retry_delay(body) if retry_after is None else retry_after,
    )


def _json_of(response: Any) -> Any:
    try:
        body = response.json()
    except (ValueError, AttributeError):
        return None
    return body[0] if isinstance(body, list) and body else body

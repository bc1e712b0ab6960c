"""Gemini through google-genai, the SDK that Google maintains."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

from google import genai
from google.genai import errors, types

from contracts.base.errors import ModelUnavailable
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.models.adapters.accepted import Accepted, SchemaStyle
from multi_agent.models.adapters.adapting import Adapting, Knowledge, Way
from multi_agent.models.adapters.endpoint import Endpoint, with_schema_in_words
from multi_agent.models.adapters.failures import HttpFailure, check
from multi_agent.models.adapters.gemini_finish import check_gemini_end, google_status
from multi_agent.models.adapters.http_body import PLAIN_ANSWERS, body_limit, http_library
from multi_agent.models.adapters.retry_after import google_retry_delay, retry_after_seconds
from multi_agent.models.wire.fields import Fields, Notes
from multi_agent.models.wire.gemini_format.parts import read_parts, write_contents
from multi_agent.models.wire.gemini_format.requests import write_tool
from multi_agent.models.wire.port import PortReader, port_blocks, port_tool

_GOOGLE: Final = "https://generativelanguage.googleapis.com/"


class Gemini:
    """A ModelClient for the Gemini API (not Vertex AI).

    A schema is sent as `response_json_schema`, tools as function declarations. When the service calls such a
    request invalid, as it does with large schemas, they are sent in text; what works is learned (`Adapting`).
    """

    def __init__(self, endpoint: Endpoint, knowledge: Knowledge) -> None:
        self._endpoint = endpoint
        self._adapting = Adapting(endpoint, knowledge, Accepted())
        # A separate client, because the SDK would use aiohttp if it is installed, which has no such hook.
        self._http = http_library().AsyncClient(
            follow_redirects=True,
            timeout=endpoint.timeout_seconds,
            headers=PLAIN_ANSWERS,
            event_hooks={"response": [body_limit(endpoint.max_body_bytes)]},
        )
        self._client = genai.Client(
            api_key=endpoint.key_text,
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=endpoint.base_url or _GOOGLE,
                api_version="v1beta",
                # The SDK's timer counts single reads. The timer around the whole call must fire first.
                timeout=int(endpoint.timeout_seconds * 1000) + 1000,
                headers=PLAIN_ANSWERS,
                httpx_async_client=self._http,
            ),
        )

    @property
    def name(self) -> str:
        return self._endpoint.name

    async def complete(self, request: ModelRequest) -> ModelResponse:
        response, calls_tools = await self._adapting.ask(request, self._send, _read_failure)
        return self._read(response, calls_tools=calls_tools, in_steps=bool(request.tools))

    async def check(self) -> None:
        """See ServiceClient."""
        ask_for = partial(self._client.aio.models.get, model=self._endpoint.model)
        own = self._endpoint.base_url is None
        await check(self._endpoint, ask_for, _read_failure, is_about_model=own)

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()
        await self._http.aclose()

    async def _send(self, way: Way) -> tuple[types.GenerateContentResponse, bool]:
        """The answer, and whether tools were sent as tools."""
        reader = PortReader("gemini", self.name if way.thoughts else "")
        contents = write_contents(reader.turns(way.request), Notes())
        answer = await self._client.aio.models.generate_content(
            model=self._endpoint.model,
            contents=[types.Content.model_validate(one) for one in contents],
            config=_config(way),
        )
        return answer, bool(way.request.tools)

    def _read(
        self, response: types.GenerateContentResponse, *, calls_tools: bool, in_steps: bool
    ) -> ModelResponse:
        if response.candidates is None and not response.prompt_feedback and not response.usage_metadata:
            # Also an error that comes with status 200: the SDK leaves out what it does not know.
            raise ModelUnavailable(
                f"model {self.name}: the answer is no answer of Gemini; check {self._endpoint.url_setting}"
            )
        feedback = response.prompt_feedback
        candidate = response.candidates[0] if response.candidates else None
        parts = (candidate.content.parts if candidate and candidate.content else None) or []
        # Not `response.text`, which warns about parts that are not text.
        text = "".join(part.text for part in parts if part.text and not part.thought)
        end = check_gemini_end(
            self.name,
            blocked=_enum_text(feedback.block_reason if feedback else None),
            finish=_enum_text(candidate.finish_reason if candidate else None),
            text=text,
            in_steps=in_steps,
        )
        usage = response.usage_metadata or types.GenerateContentResponseUsageMetadata()
        given = usage.prompt_token_count or 0
        cached = min(usage.cached_content_token_count or 0, given)
        # Thoughts are billed as output.
        made = max((usage.total_token_count or 0) - given, usage.candidates_token_count or 0)
        plain = [part.model_dump(mode="json", exclude_none=True) for part in parts]
        blocks = read_parts(Fields({"parts": plain}, "$", Notes()))
        return ModelResponse(
            text="" if calls_tools else text,
            model=response.model_version or self._endpoint.model,
            input_tokens=given,
            output_tokens=made,
            cost_usd=self._endpoint.price.cost(given, made, cached),
            cached_input_tokens=cached,
            blocks=port_blocks(blocks, self.name) if calls_tools else (),
            end=end,
        )


def _config(way: Way) -> types.GenerateContentConfig:
    request = way.request
    config = types.GenerateContentConfig(
        system_instruction=request.system or None,
        temperature=way.temperature,
        max_output_tokens=way.limit,
    )
    if request.tools:
        tools = (write_tool(port_tool(tool), Notes()) for tool in request.tools)
        declared = [types.FunctionDeclaration.model_validate(tool) for tool in tools]
        mode = types.FunctionCallingConfigMode.ANY if way.must_call else types.FunctionCallingConfigMode.AUTO
        config.tools = [types.Tool(function_declarations=declared)]
        config.tool_config = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode=mode))
        config.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
    if request.response_schema is None:
        return config
    schema = json.dumps(request.response_schema, default=dict)
    if way.schema_style is SchemaStyle.JSON_SCHEMA:
        config.response_json_schema = json.loads(schema)
    else:
        config.system_instruction = with_schema_in_words(request, schema)
    if way.schema_style is not SchemaStyle.WORDS:
        config.response_mime_type = "application/json"
    return config


def _enum_text(value: Any) -> str:
    return str(getattr(value, "value", value) or "")


def _read_failure(error: Exception) -> HttpFailure | None:
    if not isinstance(error, errors.APIError):
        return None
    headers = getattr(error.response, "headers", None) or {}
    retry_after = retry_after_seconds(headers)
    return HttpFailure(
        status=google_status(error.code if isinstance(error.code, int) else 500, error.details),
        detail=str(error.message or ""),
        retry_after=google_retry_delay(error.details) if retry_after is None else retry_after,
    )

"""Gemini through google-genai, the SDK that Google maintains."""

from __future__ import annotations

import json
from typing import Any, Final

from google import genai
from google.genai import errors, types

from contracts.ports import ModelRequest, ModelResponse
from multi_agent.models.endpoint import (
    Endpoint,
    HttpFailure,
    ask,
    google_retry_delay,
    rejected,
    retry_after_seconds,
    with_schema_in_words,
)
from multi_agent.models.gemini_finish import check_gemini_end
from multi_agent.models.http_body import PLAIN_ANSWERS, body_limit, http_library

_GOOGLE: Final = "https://generativelanguage.googleapis.com/"


class Gemini:
    """A ModelClient for the Gemini API (not Vertex AI).

    A schema goes out as `response_json_schema`. When the service calls such a request invalid, as it does with
    large schemas, it is asked once more with the schema in words.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        # Our own client, or the SDK would take aiohttp where that is installed, which has no such hook.
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
                # Its own timer counts reads, so ours around the whole call comes first.
                timeout=int(endpoint.timeout_seconds * 1000) + 1000,
                headers=PLAIN_ANSWERS,
                httpx_async_client=self._http,
            ),
        )

    @property
    def name(self) -> str:
        return self._endpoint.name

    async def complete(self, request: ModelRequest) -> ModelResponse:
        outcome = await self._ask(_config(request))
        if isinstance(outcome, HttpFailure) and request.response_schema is not None:
            outcome = await self._ask(request, _config_in_words(request))
        if isinstance(outcome, HttpFailure):
            raise rejected(self._endpoint, outcome)
        return self._read(outcome)

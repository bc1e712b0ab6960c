"""What both formats of OpenAI's have in common: the client of the SDK, and how its errors are read."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

import openai
import structlog

from contracts.ports.model import ModelResponse
from multi_agent.models.adapters.accepted import Accepted
from multi_agent.models.adapters.adapting import Adapting, Knowledge
from multi_agent.models.adapters.chat_completion import failure_in
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.failures import HttpFailure, check
from multi_agent.models.adapters.http_body import PLAIN_ANSWERS, body_limit
from multi_agent.models.adapters.retry_after import retry_after_seconds

_ADDRESS: Final = "https://api.openai.com/v1"
_NO_KEY: Final = "none"

_log = structlog.get_logger(__name__)


class OpenAiClient:
    """The part of a ServiceClient that is the same for chat completions and responses."""

    def __init__(self, endpoint: Endpoint, knowledge: Knowledge) -> None:
        self._endpoint = endpoint
        # OpenAI has renamed the limit; most compatible servers know only the old name.
        default = Accepted(limit_name="max_tokens" if endpoint.base_url else "max_completion_tokens")
        self._adapting = Adapting(endpoint, knowledge, default)
        self._is_usage_missed = False
        self._client = openai.AsyncOpenAI(
            # Local servers need no key, but without one the SDK reads the environment.
            api_key=endpoint.key_text or _NO_KEY,
            base_url=endpoint.base_url or _ADDRESS,
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

    async def check(self) -> None:
        """See ServiceClient. Compatible servers may list other names than those that they answer to."""
        models, named = self._client.models.with_raw_response, self._endpoint.model
        own = self._endpoint.base_url is None
        ask_for = partial(models.retrieve, named) if own else models.list
        await check(self._endpoint, ask_for, read_openai_failure, is_about_model=own)

    async def close(self) -> None:
        await self._client.close()

    def _noting_usage(self, response: ModelResponse) -> ModelResponse:
        """The same, after a word in the log about the first answer without usage."""
        if not response.input_tokens and not self._is_usage_missed:
            self._is_usage_missed = True
            _log.warning("model_usage_unknown", model=self.name, counted_as=0)
        return response


def schema_name(purpose: str) -> str:
    """What a schema is called, as the services take it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", purpose)[:64] or "answer"


def read_openai_failure(error: Exception) -> HttpFailure | None:
    """What an error of the SDK says; None for one that is no answer of a service."""
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

"""Removes secrets from what a model and its service send back."""

from __future__ import annotations

import asyncio
from typing import Final

from contracts.base.errors import MultiAgentError
from contracts.base.secrets.redaction import Redactor
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.layers.wrapper import Wrapper

_LONG: Final = 100_000
"""Characters from which on an answer is looked through beside the event loop."""


class Redacted(Wrapper):
    """Answers and errors without known secrets, so that none is stored, logged or shown.

    A service may quote the key in an error, and whatever stands between may echo a request with its headers.
    """

    def __init__(self, inner: ModelClient, redact: Redactor) -> None:
        super().__init__(inner)
        self._redact = redact

    async def complete(self, request: ModelRequest) -> ModelResponse:
        try:
            response = await self._inner.complete(request)
        except MultiAgentError as error:
            error.args = tuple(self._redact(arg) if isinstance(arg, str) else arg for arg in error.args)
            raise
        if sum(map(len, response.texts)) < _LONG:
            return response.with_texts(self._redact)
        return await asyncio.to_thread(response.with_texts, self._redact)

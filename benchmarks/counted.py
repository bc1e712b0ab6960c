"""A model whose calls and tokens are counted, for loops that keep nothing."""

from __future__ import annotations

from agents.sdk.exchange_log import LastStep
from contracts.messages.payloads import Usage
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse


class Counted:
    """Asks a model, and counts. Nothing is stored."""

    def __init__(self, model: ModelClient) -> None:
        self._model = model
        self.usage = Usage()
        self.last_step = LastStep("", ())
        self.attempt = 1

    async def complete(self, request: ModelRequest) -> ModelResponse:
        """Ask."""
        response = await self._model.complete(request)
        self.usage = self.usage.plus(response.usage)
        return response

    async def step(self) -> bytes | None:
        """No step is there."""
        return None

    async def note_step(self, content: bytes) -> None:
        """Keep nothing."""

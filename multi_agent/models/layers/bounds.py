"""Refuses answers that are too large."""

from __future__ import annotations

from contracts.base.errors import ModelRefused
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.layers.wrapper import Wrapper


class Bounded(Wrapper):
    """Raises ModelRefused for an answer that is empty, over `max_bytes` of UTF-8, or invalid Unicode.

    Where tools were offered, an empty one is for whoever asked.
    """

    def __init__(self, inner: ModelClient, max_bytes: int) -> None:
        super().__init__(inner)
        self._max_bytes = max_bytes

    async def complete(self, request: ModelRequest) -> ModelResponse:
        response = await self._inner.complete(request)
        if not response.contents and not request.tools:
            raise ModelRefused(f"model {self.name} gave an empty answer to {request.purpose}")
        size = sum(map(self._size, response.texts))
        if size > self._max_bytes:
            raise ModelRefused(
                f"model {self.name} answered {request.purpose} with {size:,} bytes, the limit is "
                f"{self._max_bytes:,}; ask for less at once"
            )
        return response

    def _size(self, text: str) -> int:
        try:
            return len(text.encode("utf-8"))
        except UnicodeEncodeError:
            raise ModelRefused(f"model {self.name} gave an answer that is no valid Unicode text") from None

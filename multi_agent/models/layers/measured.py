"""Tells how each question to a model ended, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeAlias

from contracts.base.errors import ModelBlocked, ModelRefused, ModelRejected, ModelUnavailable, ReplayMiss
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.layers.wrapper import Wrapper

CallSeen: TypeAlias = Callable[[str, str, float], None]
"""Hears the model's name, how the question ended, and seconds."""
_ENDS: Final = (
    (ModelUnavailable, "unavailable"),
    (ModelBlocked, "blocked"),
    (ModelRefused, "refused"),
    (ModelRejected, "rejected"),
    (ReplayMiss, "not_recorded"),
)


class Measured(Wrapper):
    """Tells of each question: "ok", an end of the above, "cancelled", or "error" for any other."""

    def __init__(self, inner: ModelClient, seen: CallSeen) -> None:
        super().__init__(inner)
        self._seen = seen

    async def complete(self, request: ModelRequest) -> ModelResponse:
        began, end = time.monotonic(), "cancelled"
        try:
            response = await self._inner.complete(request)
            end = "ok"
        except Exception as error:
            end = next((name for kind, name in _ENDS if isinstance(error, kind)), "error")
            raise
        finally:
            self._seen(self.name, end, time.monotonic() - began)
        return response

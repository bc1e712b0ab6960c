"""The language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One turn: `role` is "user" or "model"."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a language model.

    purpose: what it is for, such as "planner.plan" or "coder.write"; a label that is part of the hash.
    response_schema: a JSON Schema that the answer, one JSON document, should satisfy; None for free text.
    The request must hold no time, random id or path of this machine, so that the same work hashes equal.
    """

    purpose: str
    system: str
    messages: tuple[ModelMessage, ...]
    response_schema: Mapping[str, Any] | None = None
    temperature: float = 0.0
    max_output_tokens: int = 16_384


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """An answer. Token counts are the service's own; `cost_usd` is 0.0 where no price is known."""

    text: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


class ModelClient(Protocol):
    """Answers requests. Raises ModelUnavailable (try again), ModelRejected, ModelRefused, ReplayMiss."""

    @property
    def name(self) -> str: ...

    async def complete(self, request: ModelRequest) -> ModelResponse: ...

    async def close(self) -> None: ...

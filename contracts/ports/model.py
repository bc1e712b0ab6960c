"""The language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One turn of a conversation."""

    role: str
    """"user" or "model"."""
    text: str


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a language model.

    It must hold no time, random id or path of this machine, so that the same work has the same request_hash.
    A field that is added later needs a default that means what was meant before; see request_hash.
    """

    purpose: str
    """What it is for, such as "planner.plan" or "coder.write"; a label that is part of the hash."""
    system: str
    messages: tuple[ModelMessage, ...]
    response_schema: Mapping[str, Any] | None = None
    """A JSON Schema that the answer, one JSON document, should satisfy; None for free text."""
    temperature: float = 0.0
    max_output_tokens: int = 16_384


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """An answer."""

    text: str
    model: str
    input_tokens: int = 0
    """As the service counts."""
    output_tokens: int = 0
    cost_usd: float = 0.0
    """0.0 where no price is known."""


class ModelClient(Protocol):
    """Answers requests. Raises ModelUnavailable (try again), ModelRejected, ModelRefused, ReplayMiss."""

    @property
    def name(self) -> str: ...

    async def complete(self, request: ModelRequest) -> ModelResponse: ...

    async def close(self) -> None: ...

"""The language model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Final, Literal, Protocol

from contracts.messages.budget import MICRO, Amount
from contracts.messages.payloads import Usage
from contracts.ports.content import ContentBlock, TextBlock, ToolCall


@dataclass(frozen=True, slots=True)
class ModelMessage:
    """One turn of a conversation."""

    role: str
    """"user" or "model"."""
    text: str
    """"" where there are blocks."""
    blocks: tuple[ContentBlock, ...] = ()
    """Instead of the text. A user's turn after calls has a result for each of them."""

    @property
    def contents(self) -> tuple[ContentBlock, ...]:
        """The blocks, or the text as one."""
        return self.blocks or (TextBlock(self.text),)

    @property
    def characters(self) -> int:
        """How long it is."""
        return sum(_characters(block) for block in self.contents)


@dataclass(frozen=True, slots=True)
class ModelTool:
    """A tool that a model may call."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """The JSON Schema of its arguments, an object."""


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
    tools: tuple[ModelTool, ...] = ()
    """Tools to call, with which there is no schema. For a model that can call none see text_form."""

    @property
    def characters(self) -> int:
        """How long its texts are together, without schemas."""
        return len(self.system) + sum(message.characters for message in self.messages)


@dataclass(frozen=True, slots=True)
class ModelResponse:
    """An answer."""

    text: str
    """"" where there are blocks."""
    model: str
    input_tokens: int = 0
    """As the service counts, cached ones included."""
    output_tokens: int = 0
    cost_usd: float = 0.0
    """0.0 where no price is known."""
    cached_input_tokens: int = 0
    """Input tokens that the service had from an earlier request."""
    blocks: tuple[ContentBlock, ...] = ()
    """Instead of the text, where the request had tools."""
    end: Literal["", "length", "malformed"] = ""
    """Why it is not whole: cut off at a limit of length, or a call that the service could not read. Only
    where the request had tools; elsewhere such an answer is ModelRefused."""
    stand_in: str = ""
    """The model of a list that answered in place of the first, at most 200 characters, "" for none."""

    @property
    def contents(self) -> tuple[ContentBlock, ...]:
        """The blocks, or the text as one, without what is empty."""
        if self.blocks:
            return self.blocks
        return (TextBlock(self.text),) if self.text.strip() else ()

    @property
    def usage(self) -> Usage:
        """What it consumed."""
        return Usage(
            model_calls=1,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_usd=self.cost_usd,
            cached_input_tokens=self.cached_input_tokens or None,
            stand_ins={self.stand_in: 1} if self.stand_in else None,
        )

    @property
    def amount(self) -> Amount | None:
        """What it consumed, as budgets count it; None where the service did not say."""
        tokens = self.input_tokens + self.output_tokens
        return Amount(micro_usd=ceil(self.cost_usd * MICRO), tokens=tokens) if tokens else None

    def with_texts(self, change: Callable[[str], str]) -> ModelResponse:
        """The same answer with every text in it changed."""
        blocks = tuple(_changed(block, change) for block in self.blocks)
        return replace(self, text=change(self.text), model=change(self.model), blocks=blocks)

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything in it that the model wrote."""
        return (self.text, *(part for block in self.blocks for part in _texts(block).values()))


def _texts(block: ContentBlock) -> dict[str, str]:
    if isinstance(block, ToolCall):
        return {"name": block.name, "arguments": block.arguments, "kept": block.kept}
    return {name: getattr(block, name) for name in ("text", "kept") if hasattr(block, name)}


def _characters(block: ContentBlock) -> int:
    return sum(len(text) for text in _texts(block).values())


def _changed(block: ContentBlock, change: Callable[[str], str]) -> ContentBlock:
    return replace(block, **{name: change(text) for name, text in _texts(block).items()})  # type: ignore[arg-type]


class ModelClient(Protocol):
    """Answers requests. Raises ModelUnavailable (try again), ModelRejected, ModelRefused, ReplayMiss."""

    @property
    def name(self) -> str: ...

    async def complete(self, request: ModelRequest) -> ModelResponse: ...

    async def close(self) -> None: ...


class Purse(Protocol):
    """The allowance of one execution."""

    @property
    def counts_money(self) -> bool:
        """Whether it has a limit in dollars, so that prices must be known."""

    async def reserve(self, request_hash: str, bound: Amount) -> int:
        """Set the bound aside for one try, and return its number; durable when this returns.

        Raises Suspended where that is not left, Unavailable (StoreUnavailable, or where nothing more can be
        spent because another execution of the same dispatch has ended), ArtifactError.
        """

    def settle(self, number: int, used: Amount) -> None:
        """Say what the try cost. One that is never settled costs what was set aside."""

    def read_back(self, request_hash: str, used: Amount) -> None:
        """Say that an answer was stored that an execution before has paid."""


PURSE: Final[ContextVar[Purse | None]] = ContextVar("purse", default=None)
"""That of the execution whose code runs, None where nothing limits what it spends."""

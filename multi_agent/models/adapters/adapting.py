"""Sends requests in the way that a model accepts, and learns that way from what its service objects to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import structlog

from contracts.ports.model import ModelRequest
from contracts.ports.text_form import in_text
from multi_agent.models.adapters.accepted import (
    Accepted,
    LimitName,
    SchemaStyle,
    Sent,
    Told,
    ToolStyle,
    adapted,
    room_in,
)
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.failures import HttpFailure, ask, http_error, rejected
from multi_agent.models.adapters.memory import ModelMemory

T = TypeVar("T")

_MOST_WAYS: Final = 10
_BROKEN: Final = 500
"""The status of a server that breaks at a schema instead of objecting to it."""
_MOST_BROKEN: Final = 64
"""Requests that are remembered to have met that status."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of models beforehand."""

    told: Told = field(default_factory=Told)
    folder: Path | None = None
    """Where it is remembered what was learned, None for nowhere."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to send one request."""

    request: ModelRequest
    """Without tools where they are described in words."""
    schema_style: SchemaStyle
    temperature: float | None
    """None to leave it out."""
    limit_name: LimitName
    limit: int
    """Of output tokens."""
    must_call: bool = False
    """Whether a tool must be called."""
    thoughts: bool = True
    """Whether the model's own thoughts are sent back to it."""


class Adapting:
    """Asks one model. What was learned counts once a request was answered that way."""

    def __init__(self, endpoint: Endpoint, knowledge: Knowledge, default: Accepted) -> None:
        """`default` holds until something else is known."""
        self._endpoint = endpoint
        self._told = knowledge.told
        self._memory = ModelMemory(knowledge.folder, endpoint)
        self._learned = self._memory.recall() or default
        self._broken: list[ModelRequest] = []
        """Met a broken server once, which may be an accident."""

    async def ask(
        self,
        request: ModelRequest,
        send: Callable[[Way], Awaitable[T]],
        read_failure: Callable[[Exception], HttpFailure | None],
    ) -> T:
        """Return what `send` returns. Raises ModelUnavailable, ModelRejected, NotConfigured."""
        sent = self._first(request)
        for tries_left in reversed(range(_MOST_WAYS)):
            outcome = await self._try(sent, request, send, read_failure)
            if not isinstance(outcome, HttpFailure):
                self._learn(sent)
                return outcome
            if not tries_left:
                raise rejected(self._endpoint, outcome)
            sent = self._next(sent, request, outcome)
        raise AssertionError("unreachable: the last round returns or raises")

    async def _try(
        self,
        sent: Sent,
        request: ModelRequest,
        send: Callable[[Way], Awaitable[T]],
        read_failure: Callable[[Exception], HttpFailure | None],
    ) -> T | HttpFailure:
        way = self._way(sent, request)

        def is_returned(failure: HttpFailure) -> bool:
            return failure.is_invalid_request or _may_break(sent, failure)

        return await ask(self._endpoint, lambda: send(way), read_failure, is_returned)

    def _first(self, request: ModelRequest) -> Sent:
        known = self._told.over(self._learned)
        wanted = self._told.max_output_tokens or request.max_output_tokens
        return Sent(
            known,
            known.limit(wanted, request.characters),
            with_schema=request.response_schema is not None,
            with_tools=bool(request.tools),
            only_native=self._told.only_native,
        )

    def _way(self, sent: Sent, request: ModelRequest) -> Way:
        known = sent.accepted
        temperature = request.temperature if self._told.temperature is None else self._told.temperature
        asked = request if sent.calls_tools else in_text(request)
        return Way(
            request=asked,
            must_call=known.tool_style is ToolStyle.REQUIRED,
            thoughts=known.thoughts,
            schema_style=known.schema_style if asked.response_schema is not None else SchemaStyle.WORDS,
            temperature=temperature if known.temperature else None,
            limit_name=known.limit_name,
            limit=sent.limit,
        )

    def _next(self, sent: Sent, request: ModelRequest, failure: HttpFailure) -> Sent:
        if failure.status == _BROKEN and (in_words := sent.in_words) is not None:
            if request not in self._broken:
                self._broken = [*self._broken[1 - _MOST_BROKEN :], request]
                raise http_error(self._endpoint, failure)
            self._broken.remove(request)
            return in_words
        following = adapted(sent, failure)
        if following is not None:
            return following
        room = room_in(failure, sent.limit)
        advice = None if room is None else _advice(room.context)
        raise rejected(self._endpoint, failure, advice)

    def _learn(self, sent: Sent) -> None:
        if sent.in_words is not None:
            self._broken.clear()
        learned = self._told.without(sent.accepted, self._learned)
        if learned != self._learned:
            self._learned = learned
            self._memory.keep(learned)
            _log.info("model_accepts", model=self._endpoint.name, **learned.model_dump(mode="json"))


def _may_break(sent: Sent, failure: HttpFailure) -> bool:
    return failure.status == _BROKEN and sent.in_words is not None


def _advice(context: int) -> str:
    return (
        f"the request and an answer do not fit into the model's {context:,} tokens; start the server with a "
        "larger context, choose another model, or give the task less input"
    )

"""Sends requests in the way that a model accepts, and learns that way from what its service objects to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import structlog

from contracts.ports.model import ModelRequest
from multi_agent.models.adapters.accepted import (
    Accepted,
    LimitName,
    SchemaStyle,
    Sent,
    Told,
    adapted,
    room_in,
)
from multi_agent.models.adapters.endpoint import Endpoint
from multi_agent.models.adapters.failures import HttpFailure, ask, http_error, rejected
from multi_agent.models.adapters.memory import ModelMemory

T = TypeVar("T")

_MOST_WAYS: Final = 8
_BROKEN: Final = 500
"""The status of a server that breaks at a schema instead of objecting to it."""
_TRUSTED_FAILURES: Final = 2
"""So often in a row that status is believed to be an accident."""

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

    schema_style: SchemaStyle
    temperature: float | None
    """None to leave it out."""
    limit_name: LimitName
    limit: int
    """Of output tokens."""


class Adapting:
    """Asks one model. What was learned counts once a request was answered that way."""

    def __init__(self, endpoint: Endpoint, knowledge: Knowledge, default: Accepted) -> None:
        """`default` holds until something else is known."""
        self._endpoint = endpoint
        self._told = knowledge.told
        self._memory = ModelMemory(knowledge.folder, endpoint)
        self._learned = self._memory.recall() or default
        self._broken_in_a_row = 0

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
            sent = self._next(sent, outcome)
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
        characters = len(request.system) + sum(len(turn.text) for turn in request.messages)
        wanted = self._told.max_output_tokens or request.max_output_tokens
        return Sent(known, known.limit(wanted, characters), request.response_schema is not None)

    def _way(self, sent: Sent, request: ModelRequest) -> Way:
        known = sent.accepted
        temperature = request.temperature if self._told.temperature is None else self._told.temperature
        return Way(
            schema_style=known.schema_style if sent.with_schema else SchemaStyle.WORDS,
            temperature=temperature if known.temperature else None,
            limit_name=known.limit_name,
            limit=sent.limit,
        )

    def _next(self, sent: Sent, failure: HttpFailure) -> Sent:
        if failure.status == _BROKEN:
            self._broken_in_a_row += 1
            if self._broken_in_a_row < _TRUSTED_FAILURES:
                raise http_error(self._endpoint, failure)
            self._broken_in_a_row = 0
            in_words = sent.accepted.model_copy(update={"schema_style": SchemaStyle.WORDS})
            return replace(sent, accepted=in_words)
        following = adapted(sent, failure)
        if following is not None:
            return following
        room = room_in(failure, sent.limit)
        advice = None if room is None else _advice(room.context)
        raise rejected(self._endpoint, failure, advice)

    def _learn(self, sent: Sent) -> None:
        if sent.with_schema and sent.accepted.schema_style < SchemaStyle.WORDS:
            self._broken_in_a_row = 0
        learned = self._told.without(sent.accepted, self._learned)
        if learned != self._learned:
            self._learned = learned
            self._memory.keep(learned)
            _log.info("model_accepts", model=self._endpoint.name, **learned.model_dump(mode="json"))


def _may_break(sent: Sent, failure: HttpFailure) -> bool:
    return failure.status == _BROKEN and sent.with_schema and sent.accepted.schema_style < SchemaStyle.WORDS


def _advice(context: int) -> str:
    return (
        f"the request and an answer do not fit into the model's {context:,} tokens; start the server with a "
        "larger context, choose another model, or give the task less input"
    )

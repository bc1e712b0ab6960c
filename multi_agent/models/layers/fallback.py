"""Asks another model where one cannot answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final

import structlog

from contracts.base.errors import (
    ModelBlocked,
    ModelDenied,
    ModelUnavailable,
    MultiAgentError,
    NotConfigured,
)
from contracts.ports.model import ModelClient, ModelRequest, ModelResponse
from multi_agent.models.layers.turns import AWAY_SECONDS, DENIED_SECONDS, ModelTurns

_NAME: Final = 200
"""Characters of a name that an answer carries."""

_log = structlog.get_logger(__name__)


class Fallback:
    """A ModelClient over a list of them: the first that answers.

    The next one is asked when a model is away, blocks the request, or denies every request (key, credit); not
    when the request is at fault, nor for an answer that is cut off or empty. A model that was away is asked
    last for a while, so that it costs no time, and then in its turn again. An answer of another than the
    first says so (`stand_in`). Where none answers, ModelUnavailable is raised if any was away, else the
    error of the first.
    """

    def __init__(
        self, clients: Sequence[ModelClient], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clients`: at least one."""
        self._clients = tuple(clients)
        self._turns = ModelTurns(clock)

    @property
    def name(self) -> str:
        return ",".join(client.name for client in self._clients)

    async def complete(self, request: ModelRequest) -> ModelResponse:
        failures: list[MultiAgentError] = []
        for client in self._turns.order(self._clients, attrgetter("name")):
            try:
                response = await client.complete(request)
            except (ModelUnavailable, ModelBlocked, ModelDenied, NotConfigured) as error:
                failures.append(error)
                self._note(client, error, request.purpose)
                continue
            self._turns.note_back(client.name)
            stands_in = client is not self._clients[0]
            return replace(response, stand_in=client.name[:_NAME]) if stands_in else response
        raise _of_all(failures)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    def _note(self, client: ModelClient, error: MultiAgentError, purpose: str) -> None:
        seconds = self._turns.note_away(client.name, _away_seconds(error))
        _log.warning(
            "model_passed_over",
            model=client.name,
            purpose=purpose,
            asked_last_seconds=round(seconds),
            reason=str(error),
        )


def _away_seconds(error: MultiAgentError) -> float:
    match error:
        case ModelUnavailable():
            return AWAY_SECONDS if error.retry_after is None else error.retry_after
        case ModelBlocked():
            return 0.0  # it answers other requests
        case _:
            return DENIED_SECONDS


def _of_all(failures: Sequence[MultiAgentError]) -> MultiAgentError:
    said = "; ".join(dict.fromkeys(str(error) for error in failures))
    away = [error for error in failures if isinstance(error, ModelUnavailable)]
    if not away:
        return type(failures[0])(said)
    waits = [error.retry_after for error in away if error.retry_after is not None]
    return ModelUnavailable(said, min(waits) if len(waits) == len(away) else None)

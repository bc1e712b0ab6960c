"""Asks another model where one cannot answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
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

AWAY_SECONDS: Final = 60.0
"""How long a model that was away is asked last, unless its service names another time."""
DENIED_SECONDS: Final = 600.0
"""How long one that answers no request at all is asked last."""
_MOST_SECONDS: Final = 3_600.0
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
        self._clock = clock
        self._away_until: dict[str, float] = {}

    @property
    def name(self) -> str:
        return ",".join(client.name for client in self._clients)

    async def complete(self, request: ModelRequest) -> ModelResponse:
        failures: list[MultiAgentError] = []
        for client in self._in_turn():
            try:
                response = await client.complete(request)
            except (ModelUnavailable, ModelBlocked, ModelDenied, NotConfigured) as error:
                failures.append(error)
                self._note(client, error, request.purpose)
                continue
            if self._away_until.pop(client.name, None) is not None:
                _log.info("model_back", model=client.name)
            stands_in = client is not self._clients[0]
            return replace(response, stand_in=client.name[:_NAME]) if stands_in else response
        raise _of_all(failures)

    async def close(self) -> None:
        for client in self._clients:
            await client.close()

    def _in_turn(self) -> list[ModelClient]:
        """All of them, those that were away lately last."""
        now = self._clock()
        return sorted(self._clients, key=lambda client: self._away_until.get(client.name, now) > now)

    def _note(self, client: ModelClient, error: MultiAgentError, purpose: str) -> None:
        seconds = _away_seconds(error)
        if seconds:
            self._away_until[client.name] = self._clock() + seconds
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
            asked = AWAY_SECONDS if error.retry_after is None else error.retry_after
            return min(asked, _MOST_SECONDS)
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

"""How often a request is asked, and of whom, as long as its caller was told nothing."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import structlog

from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.gateway.refusals import GatewayRefusal
from multi_agent.gateway.request_line import RequestLine
from multi_agent.gateway.routes import ModelAddress
from multi_agent.models.layers.retry import RetryPolicy
from multi_agent.models.layers.turns import AWAY_SECONDS, ModelTurns
from multi_agent.models.wire.failures import FailureKind

TRIES: Final = RetryPolicy(max_attempts=2, total_seconds=5.0)
"""How each model of a list is asked; whoever waits has a program that asks again."""
_OUTAGES: Final[frozenset[FailureKind]] = frozenset({"rate_limit", "overloaded", "server", "timeout"})
_PASSED_ON: Final[frozenset[FailureKind]] = _OUTAGES | {"permission", "spent", "not_found"}
"""Those, and what a service refuses to the gateway, as another may not."""
_OF_THE_REQUEST: Final[frozenset[FailureKind]] = frozenset({"server", "not_found"})
"""What a caller may bring about by what it asks, so that others are not sent elsewhere for it."""
_MOST_SHOWN: Final = 300

PrepareFor: TypeAlias = Callable[[frozenset[str]], Awaitable[PreparedRequest]]
"""Prepares a request for another model than those, as SERVICE:MODEL, that are avoided."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TryRules:
    """What holds for all requests of a gateway."""

    policy: RetryPolicy = TRIES
    turns: ModelTurns = field(default_factory=ModelTurns)
    jitter: Callable[[], float] = random.random


class RequestTries:
    """The tries of one request: the same model again, then the next of its list."""

    def __init__(
        self, rules: TryRules, line: RequestLine, others: Iterable[ModelAddress], prepare_for: PrepareFor
    ) -> None:
        """`others`: who may be asked in place of the first."""
        self._rules = rules
        self._line = line
        self._left = list(others)
        self._prepare_for = prepare_for if self._left else None  # it holds the body
        self._failed: list[tuple[PreparedRequest, GatewayRefusal]] = []
        self._begin()

    async def after(self, prepared: PreparedRequest, refusal: GatewayRefusal) -> PreparedRequest:
        """What is to be sent now, after a try that failed. Raises GatewayRefusal where nothing is."""
        if self._line.status:
            raise refusal  # the answer has begun
        self._failed.append((prepared, refusal))
        wait = self._wait(refusal)
        if wait is None:
            return await self._for_next(prepared, refusal)
        said = self._about(prepared, refusal)
        _log.warning("gateway_retry", **said, wait_seconds=round(wait, 2))
        await asyncio.sleep(wait)
        self._attempt += 1
        return prepared

    def _begin(self) -> None:
        self._attempt = 1
        self._since = time.monotonic()

    def _wait(self, refusal: GatewayRefusal) -> float | None:
        """Seconds until the same model is asked again; None where it is not."""
        policy = self._rules.policy
        if refusal.is_final or refusal.failure.kind not in _OUTAGES or self._attempt >= policy.max_attempts:
            return None
        wait = policy.wait(self._attempt, refusal.retry_after, self._rules.jitter())
        return wait if time.monotonic() + wait < self._since + policy.total_seconds else None

    async def _for_next(self, prepared: PreparedRequest, refusal: GatewayRefusal) -> PreparedRequest:
        """The request for the next model of the list."""
        if not refusal.is_final:
            seconds = _away_seconds(refusal)
            self._rules.turns.note_away(str(prepared.address), seconds)
            said = self._about(prepared, refusal)
            _log.warning("gateway_passed_over", **said, asked_last_seconds=round(seconds))
        goes_on = refusal.failure.kind in _PASSED_ON and not refusal.is_final
        while goes_on and self._prepare_for and self._left:
            listed, following = (prepared.address, *prepared.others), self._left.pop(0)
            found = await self._prepare_for(frozenset(str(one) for one in listed if one != following))
            if not found.failure:
                self._begin()
                self._line.prepared = found
                return found
            # What this one's format cannot say another's may.
            self._failed.append((found, GatewayRefusal(found.failure)))
        self._line.prepared, told = self._told()
        raise told

    def _told(self) -> tuple[PreparedRequest, GatewayRefusal]:
        """What the caller is told of all: that it may ask again, if of any that is so."""
        away = (one for one in self._failed if one[1].failure.kind in _OUTAGES and not one[1].is_final)
        return next(away, self._failed[0])

    def _about(self, prepared: PreparedRequest, refusal: GatewayRefusal) -> dict[str, str]:
        """What is logged of a try."""
        return {
            "request_id": self._line.request_id,
            "model": str(prepared.address),
            "failure": refusal.failure.kind,
            "reason": refusal.failure.message[:_MOST_SHOWN],
        }


def _away_seconds(refusal: GatewayRefusal) -> float:
    if refusal.failure.kind in _OF_THE_REQUEST:
        return 0.0
    return AWAY_SECONDS if refusal.retry_after is None else refusal.retry_after

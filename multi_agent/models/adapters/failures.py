"""Translates what goes wrong at a service into the project's errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass
from typing import Final, TypeVar

from contracts.base.errors import (
    ModelDenied,
    ModelRejected,
    ModelUnavailable,
    MultiAgentError,
    NotConfigured,
    Unavailable,
)
from contracts.base.processes.shortage import shortage_of
from multi_agent.models.adapters.connection import chain_of, connection_error
from multi_agent.models.adapters.endpoint import Endpoint

T = TypeVar("T")

_TRANSIENT: Final = frozenset({408, 409, 425, 429})
_NOT_BEGUN: Final = frozenset({425, 429, 503, 529})
"""With which services send a request back before they work on it, so that it costs nothing."""
_SPENT: Final = frozenset(
    {"insufficient_quota", "insufficient_balance", "billing_not_active", "billing_hard_limit_reached"}
)
"""Codes of services for accounts that must be paid first; they come with status 429 too."""
_PAY: Final = "the account has no credit left; add some there, or choose another model"
_DENIED: Final = frozenset({401, 402, 403, 404})
"""What a service answers whatever the request says."""
_ADVICE: Final = {
    400: "the service calls the request invalid; check the model's name and the API key, and set what the "
    "model takes (MULTI_AGENT_MODEL_SCHEMA, MULTI_AGENT_MODEL_TEMPERATURE, MULTI_AGENT_MAX_OUTPUT_TOKENS)",
    401: "the API key is missing or wrong; set the one that belongs to this service",
    402: _PAY,
    403: "the API key may not use this model; allow it there, or choose another model",
    404: "there is no such model or address; check the model's name and the base URL",
    413: "the request is too large for this model; give the task less input",
}


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """An error answer, as far as the SDK exposes it."""

    status: int
    detail: str = ""
    """The service's message."""
    retry_after: float | None = None
    """How long the service asks to wait, in seconds."""
    param: str = ""
    """The field that the service objects to."""
    code: str = ""
    """The service's own name for what is wrong."""

    @property
    def is_invalid_request(self) -> bool:
        return self.status in (400, 413, 422)


class NoAnswerInTime(ModelUnavailable):
    """The service took longer than an attempt may take."""


class ErrorInAnswer(Exception):
    """Raised within a call when a service says with status 200 that something is wrong."""

    def __init__(self, failure: HttpFailure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


async def ask(
    endpoint: Endpoint,
    call: Callable[[], Awaitable[T]],
    read_failure: Callable[[Exception], HttpFailure | None],
    is_returned: Callable[[HttpFailure], bool] = lambda failure: failure.is_invalid_request,
) -> T | HttpFailure:
    """Return the result of `call`, or a failure that `is_returned`: by default that the request is invalid.

    Every other exception becomes ModelUnavailable, ModelRejected, NotConfigured or the project's error that a
    hook raised. The new error is raised outside of the except block, so that it does not refer to the SDK's
    exception, which contains the request and the key.
    """
    try:
        async with asyncio.timeout(endpoint.timeout_seconds):
            return await call()
    except Exception as error:  # an SDK may raise anything at all
        failure = error.failure if isinstance(error, ErrorInAnswer) else read_failure(error)
        if failure is not None and is_returned(failure):
            return failure
        short = shortage_of(error)
        raised = http_error(endpoint, failure) if failure else _other_error(endpoint, error)
    if short is not None:
        # No fault of the service, so nothing is asked of it again before this process is a fresh one.
        raise Unavailable(f"this process is short of resources: {short.strerror}") from short
    raise raised


def rejected(endpoint: Endpoint, failure: HttpFailure, advice: str | None = None) -> ModelRejected:
    """Make the error for a request that the service does not accept."""
    if advice is None:
        advice = _ADVICE.get(failure.status, "the service does not accept the request")
    # Some services quote a part of the key when they refuse it.
    detail = "" if failure.status in (401, 403) else endpoint.scrub(failure.detail)
    said = f" (it says: {detail})" if detail else ""
    kind = ModelDenied if failure.status in _DENIED or failure.code in _SPENT else ModelRejected
    return kind(f"model {endpoint.name}: HTTP {failure.status}, {advice}{said}")


async def check(
    endpoint: Endpoint,
    call: Callable[[], Awaitable[object]],
    read_failure: Callable[[Exception], HttpFailure | None],
    *,
    is_about_model: bool,
) -> None:
    """Ask with `call` whether the service is there. Raises NotConfigured and ModelUnavailable.

    is_about_model: whether "not found" is about the model. Many servers do not know the question at all, or
    answer it slowly while they work; what they say to a request counts then.
    """
    try:
        outcome = await ask(endpoint, call, read_failure, is_returned=lambda _: True)
    except NoAnswerInTime:
        return
    if isinstance(outcome, HttpFailure) and (
        outcome.status == 401 or (outcome.status == 404 and is_about_model)
    ):
        raise NotConfigured(str(rejected(endpoint, outcome)))


def http_error(endpoint: Endpoint, failure: HttpFailure) -> MultiAgentError:
    """Make the error for a failure: ModelUnavailable when asking again may help, else ModelRejected."""
    if failure.code in _SPENT:
        return rejected(endpoint, failure, _PAY)
    if failure.status not in _TRANSIENT and failure.status < 500:
        return rejected(endpoint, failure)
    detail = endpoint.scrub(failure.detail)
    said = f": {detail}" if detail else ""
    message = f"model {endpoint.name}: HTTP {failure.status}{said}"
    return ModelUnavailable(message, failure.retry_after, unsent=failure.status in _NOT_BEGUN)


def _other_error(endpoint: Endpoint, error: Exception) -> MultiAgentError:
    for cause in chain_of(error):
        if isinstance(cause, MultiAgentError):
            # A new error with the same fields: the original refers to the SDK's frames and context.
            return copy(cause)
    if isinstance(error, TimeoutError):
        return NoAnswerInTime(f"{endpoint.where}: no answer within {endpoint.timeout_seconds:g} s")
    return connection_error(endpoint, error)

"""Shared parts of the adapters for model services: the endpoint, and the translation of failures."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from contracts.base.errors import ModelRejected, ModelUnavailable, MultiAgentError, Unavailable
from contracts.base.processes.shortage import shortage_of
from contracts.base.redaction import MARK, Redactor
from contracts.ports.model import ModelRequest
from multi_agent.models.prices import Price

T = TypeVar("T")

_TRANSIENT: Final = frozenset({408, 409, 425, 429})
_MAX_RETRY_AFTER_SECONDS: Final = 86_400.0
_ADVICE: Final = {
    400: "the service calls the request invalid; check the model's name and the API key",
    401: "the API key is missing or wrong; set the one that belongs to this service",
    403: "the API key may not use this model; allow it there, or choose another model",
    404: "there is no such model or address; check the model's name and the base URL",
    413: "the request is too large for this model; give the task less input",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model at a service."""

    service: str
    """The kind of service, as in the specification of a model, such as "gemini"."""
    model: str
    """The service's name for the model."""
    api_key: SecretStr | None
    base_url: str | None
    """None for the service's own address."""
    timeout_seconds: float
    """The limit of one attempt, from the first byte sent to the last byte received."""
    max_answer_bytes: int
    """The limit of the answer's text, in bytes of UTF-8."""
    redact: Redactor
    price: Price

    @property
    def name(self) -> str:
        return f"{self.service}:{self.model}"

    @property
    def max_body_bytes(self) -> int:
        """The limit of an HTTP body: JSON escapes may double the text, and the envelope needs room."""
        return 2 * self.max_answer_bytes + 100_000

    @property
    def key_text(self) -> str:
        """The key in plain text, "" for none. Only for passing it to an SDK."""
        return self.api_key.get_secret_value() if self.api_key else ""

    def scrub(self, text: str) -> str:
        """Remove secrets from a service's message and shorten it to 300 characters."""
        if self.key_text:
            # Also one that is too short for the redactor: a message, unlike an answer, is not ruined by it.
            text = text.replace(self.key_text, MARK)
        text = self.redact(text)
        return " ".join(text.split())[:300]


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """An HTTP error answer, as far as the SDK exposes it."""

    status: int
    detail: str = ""
    """The service's message."""
    retry_after: float | None = None
    """How long the service asks to wait, in seconds."""
    param: str = ""
    """The field that the service objects to."""

    @property
    def is_invalid_request(self) -> bool:
        return self.status in (400, 422)


async def ask(
    endpoint: Endpoint,
    call: Callable[[], Awaitable[T]],
    read_failure: Callable[[Exception], HttpFailure | None],
) -> T | HttpFailure:
    """Return the result of `call`, or the HTTP failure if the service calls the request invalid.

    Every other exception becomes ModelUnavailable, ModelRejected or the project's error that a hook raised.
    The new error is raised outside of the except block, so that it does not refer to the SDK's exception,
    which contains the request and the key.
    """
    try:
        async with asyncio.timeout(endpoint.timeout_seconds):
            return await call()
    except Exception as error:  # an SDK may raise anything at all
        failure = read_failure(error)
        if failure is not None and failure.is_invalid_request:
            return failure
        short = shortage_of(error)
        raised = _http_error(endpoint, failure) if failure else _other_error(endpoint, error)
    if short is not None:
        # No fault of the service, so nothing is asked of it again before this process is a fresh one.
        raise Unavailable(f"this process is short of resources: {short.strerror}") from short
    raise raised


def rejected(endpoint: Endpoint, failure: HttpFailure) -> ModelRejected:
    """Make the error for a request that the service does not accept."""
    advice = _ADVICE.get(failure.status, "the service does not accept the request")
    # Some services quote a part of the key when they refuse it.
    detail = "" if failure.status in (401, 403) else endpoint.scrub(failure.detail)
    said = f" (it says: {detail})" if detail else ""
    return ModelRejected(f"model {endpoint.name}: HTTP {failure.status}, {advice}{said}")


def _http_error(endpoint: Endpoint, failure: HttpFailure) -> MultiAgentError:
    if failure.status not in _TRANSIENT and failure.status < 500:
        return rejected(endpoint, failure)
    detail = endpoint.scrub(failure.detail)
    said = f": {detail}" if detail else ""
    return ModelUnavailable(f"model {endpoint.name}: HTTP {failure.status}{said}", failure.retry_after)


def _other_error(endpoint: Endpoint, error: Exception) -> MultiAgentError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MultiAgentError):
            # A new error: the original refers to the SDK's frames and context.
            return type(cause)(*cause.args)
        cause = cause.__cause__ or cause.__context__
    where = f" at {_host(endpoint.base_url)}" if endpoint.base_url else ""
    if isinstance(error, TimeoutError):
        return ModelUnavailable(
            f"model {endpoint.name}{where}: no answer within {endpoint.timeout_seconds:g} s"
        )
    return ModelUnavailable(f"model {endpoint.name}{where}: no usable answer ({type(error).__name__})")


def _host(url: str) -> str:
    # Not the whole URL: it may contain a user and a password.
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` (seconds or a date) or `retry-after-ms`, in seconds; None without a valid one."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is None and text:
        seconds = _seconds_until(text)
    return None if seconds is None else _bounded(seconds)


def google_retry_delay(payload: object) -> float | None:
    """Read `retryDelay` (such as "17s") from a Google error body, in seconds; None without one."""
    if isinstance(payload, list):
        payload = payload[0] if payload else None
    error = payload.get("error") if isinstance(payload, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    for item in details if isinstance(details, list) else ():
        delay = item.get("retryDelay") if isinstance(item, Mapping) else None
        seconds = _number(delay.removesuffix("s")) if isinstance(delay, str) else None
        if seconds is not None:
            return _bounded(seconds)
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seconds_until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)


def with_schema_in_words(request: ModelRequest, schema: str) -> str:
    """Return the system text with the schema appended, for a service that accepts no schema."""
    order = f"Answer with one JSON document and nothing else. It must satisfy this JSON Schema:\n{schema}"
    return f"{request.system}\n\n{order}" if request.system else order

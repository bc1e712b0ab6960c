"""HTTP answers to callers, and the reading of what they send."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final, NoReturn

import structlog
from aiohttp import web

from contracts.base.errors import LimitExceeded, MultiAgentError, NotConfigured
from multi_agent.gateway.budgets.budgets import OverKeyLimit
from multi_agent.gateway.questions import BETA_HEADERS
from multi_agent.gateway.refusals import GatewayRefusal, over_limit
from multi_agent.gateway.request_line import RequestLine
from multi_agent.models.wire import sse
from multi_agent.models.wire.canonical import FormatName
from multi_agent.models.wire.checks import too_large
from multi_agent.models.wire.failures import WireFailure, failure_body, failure_status

EVENTS: Final = "text/event-stream"
JSON: Final = "application/json"
_PASSED_HEADERS: Final = frozenset({"anthropic-version", *BETA_HEADERS.values()})
_MOST_LOST_SHOWN: Final = 1_000
_BODY_SECONDS: Final = 60.0
_SEND_SECONDS: Final = 60.0
"""For a caller to take a whole answer."""

_log = structlog.get_logger(__name__)


async def read_body(request: web.BaseRequest, name: FormatName, take: Callable[[int], None]) -> bytes:
    """The body of a request. Raises GatewayRefusal for a larger one than a service of its format takes.

    take: called with the bytes of each part; it raises where there is no room for them.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise GatewayRefusal(WireFailure("invalid", "send the body without a Content-Encoding"))
    if failure := too_large(name, request.content_length or 0):
        raise GatewayRefusal(failure)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.content.iter_any():
                size += len(part)
                if failure := too_large(name, size):
                    raise GatewayRefusal(failure)
                take(len(part))
                parts.append(part)
    except TimeoutError:
        said = f"the body did not come within {_BODY_SECONDS:g} s"
        raise GatewayRefusal(WireFailure("timeout", said)) from None
    return b"".join(parts)


def shown_keys(request: web.BaseRequest) -> list[str]:
    """The keys that a caller shows, wherever the SDK of its format puts one."""
    kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
    found = (
        request.headers.get("x-api-key"),
        request.headers.get("x-goog-api-key"),
        bearer.strip() if kind.lower() == "bearer" else "",
        request.query.get("key"),
    )
    return [key for key in found if key]


def passed_headers(request: web.BaseRequest) -> dict[str, str]:
    """What a caller says in headers to a service of its own format."""
    found = ((name, request.headers.getall(name, [])) for name in sorted(_PASSED_HEADERS))
    return {name: ",".join(said) for name, said in found if said}


def headers_of(line: RequestLine, content_type: str) -> dict[str, str]:
    """The headers of an answer: its id, under the names that SDKs read, and what is lost of the request."""
    headers = {"Content-Type": content_type, "x-request-id": line.request_id, "request-id": line.request_id}
    if content_type == EVENTS:
        headers |= {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    if line.prepared and line.prepared.lost:
        said = "; ".join(line.prepared.lost)[:_MOST_LOST_SHOWN]
        headers["x-gateway-lost"] = "".join(char if " " <= char <= "~" else "?" for char in said)
    return headers


def reply_with(body: bytes, line: RequestLine, content_type: str = JSON) -> web.Response:
    """A whole answer."""
    line.status = 200
    line.sends(body)
    return web.Response(body=body, headers=headers_of(line, content_type))


def reply_refused(refusal: GatewayRefusal, name: FormatName, line: RequestLine) -> web.Response:
    """An error in the caller's own format; what a service of that format said, as it said it."""
    failure = line.failure = refusal.failure
    passes = refusal.body is not None and line.prepared is not None and line.prepared.format == name
    line.status = refusal.status if passes else failure_status(name, failure)
    body = refusal.body if passes else sse.as_bytes(failure_body(name, failure))
    headers = headers_of(line, JSON)
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after))
    if failure.kind == "spent":
        headers["x-should-retry"] = "false"  # SDKs would ask again within seconds
    return web.Response(body=body, status=line.status, headers=headers)


async def send(request: web.BaseRequest, reply: web.Response) -> web.Response:
    """Send an answer, which counts as under way until it is taken; who does not take it is hung up on."""
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            await reply.prepare(request)
            await reply.write_eof()
    except TimeoutError:
        hang_up(request)
    return reply


def hang_up(request: web.BaseRequest) -> NoReturn:
    """End the connection of a caller that reads nothing. Raises CancelledError."""
    if request.transport:
        request.transport.abort()
    raise asyncio.CancelledError


def refusal_for(error: Exception, line: RequestLine) -> GatewayRefusal:
    """What a caller is told of an error that is not its service's."""
    match error:
        case GatewayRefusal():
            return error
        case OverKeyLimit():
            return over_limit(error)
        case TimeoutError():
            return GatewayRefusal(WireFailure("timeout", "the service gave no answer in time"))
        case LimitExceeded():
            return GatewayRefusal(WireFailure("too_large", f"the request, or its answer, {error}"))
        case MultiAgentError() if not isinstance(error, NotConfigured):
            return GatewayRefusal(WireFailure("overloaded", str(error)), retry_after=1.0)
        case _:
            _log.error("gateway_fault", request_id=line.request_id, exc_info=error)
            said = f"the gateway has a fault; its log has it as {line.request_id}"
            return GatewayRefusal(WireFailure("server", said))

"""Connections of callers: what comes on one that is no request is refused, and shown to nobody."""

from __future__ import annotations

from typing import Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from multi_agent.models.wire import sse
from multi_agent.models.wire.failures import WireFailure, failure_body

IDLE_SECONDS: Final = 75.0
"""For the head of a request to come whole; connections are kept so long between two."""
_MOST_HEADER: Final = 8_190
"""Bytes of the address or of one header."""

_log = structlog.get_logger(__name__)


class CallerConnection(web.RequestHandler):
    """One connection. What the library says of bytes that it cannot read quotes them: they may hold a key."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Say in words that callers of every format read that this was no request. Raises ConnectionError."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        said = "this is no HTTP request that can be read"
        if isinstance(exc, LineTooLong):
            said = f"the address, and each header, may have {_MOST_HEADER:,} bytes"
        _log.info("gateway_no_request", status=status, kind=type(exc).__name__)
        failure = WireFailure("invalid" if status < 500 else "server", said)
        told = [failure_body(name, failure) for name in ("gemini", "chat", "anthropic")]
        errors = {field: value for body in told for field, value in body["error"].items()}
        reply = web.Response(
            body=sse.as_bytes({"type": "error", "error": errors}),
            status=status,
            content_type="application/json",
        )
        reply.force_close()
        return reply


class CallerServer(web.Server):
    """Makes connections."""

    def __call__(self) -> CallerConnection:
        return CallerConnection(self, loop=self._loop, **self._kwargs)

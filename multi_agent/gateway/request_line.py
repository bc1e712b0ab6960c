"""What is known of a request: who, what, how long, how much; its log line has no text of it and no key."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.models.wire.canonical import FormatName, WireUsage
from multi_agent.models.wire.failures import WireFailure

MOST_BODY: Final = 1_000_000
"""Bytes of a request, or of an answer, that is kept where bodies are; of a larger one nothing is."""
_MOST_SHOWN: Final = 300

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RequestLine:
    """The line of one request, filled in as it goes on."""

    request_id: str
    format: FormatName
    wish: str
    key: str = ""
    """The name of the caller's virtual key."""
    status: int = 0
    """0 where the caller went away before there was one."""
    prepared: PreparedRequest | None = None
    usage: WireUsage | None = None
    lost: tuple[str, ...] = ()
    """What the caller's format could not say of the answer."""
    failure: WireFailure | None = None
    is_cancelled: bool = False
    """Whether the caller went away before the end."""
    session: str = ""
    """What the caller says belongs together."""
    tries: int = 0
    """How often a service was asked."""
    keeps_bodies: bool = False
    said: bytes = b""
    """The body of the request, where bodies are kept."""
    answered: bytearray = field(default_factory=bytearray)
    """What was sent of the answer, as above."""
    at: float = field(default_factory=time.time)
    """When it came, in seconds since 1970."""
    begun: float = field(default_factory=time.perf_counter)
    first: float | None = None
    """When the first bytes of the answer were sent."""
    ended: float | None = None

    @property
    def ms(self) -> float:
        """How long it took, in milliseconds."""
        return round(((self.ended or time.perf_counter()) - self.begun) * 1_000, 1)

    @property
    def first_ms(self) -> float | None:
        """How long its caller waited for the first bytes of an answer, in milliseconds."""
        return None if self.first is None else round((self.first - self.begun) * 1_000, 1)

    @property
    def kept_bytes(self) -> int:
        """What it takes in memory."""
        return len(self.said) + len(self.answered)

    def says(self, body: bytes) -> None:
        """Note what the caller said."""
        if self.keeps_bodies:
            self.said = body[: MOST_BODY + 1]

    def sends(self, data: bytes) -> None:
        """Note that bytes of the answer are sent."""
        if self.first is None:
            self.first = time.perf_counter()
        if self.keeps_bodies and len(self.answered) <= MOST_BODY:
            self.answered += data[: MOST_BODY + 1]

    def end(self) -> None:
        """Note that it has ended, let go of what it held, and log it."""
        self.ended = time.perf_counter()
        if self.prepared:
            self.prepared = replace(self.prepared, body=b"", answer=None)
        prepared, usage = self.prepared or PreparedRequest(), self.usage
        facts: dict[str, object] = {
            "request_id": self.request_id,
            "caller": self.key,
            "format": self.format,
            "wish": self.wish,
            "asked": prepared.model[:_MOST_SHOWN],
            "model": str(prepared.address) if prepared.address.model else "",
            "stream": prepared.streams,
            "status": self.status,
            "ms": self.ms,
        }
        if self.first_ms is not None:
            facts["first_ms"] = self.first_ms
        if self.session:
            facts["session"] = self.session[:_MOST_SHOWN]
        if usage:
            facts |= {"input": usage.given, "cached": usage.cached, "output": usage.made}
        if lost := (*prepared.lost, *self.lost):
            facts |= {"lost": [one[:_MOST_SHOWN] for one in lost[:10]], "lost_count": len(lost)}
        if self.failure:
            facts |= {"failure": self.failure.kind, "reason": self.failure.message[:_MOST_SHOWN]}
        if self.is_cancelled:
            facts["cancelled"] = True
        level = _log.warning if self.failure and self.failure.kind == "server" else _log.info
        level("gateway_request", **facts)

"""What is logged of a request: who, what, how long, how much; never a text of it, a key or an address."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

import structlog

from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.models.wire.canonical import WireUsage
from multi_agent.models.wire.failures import WireFailure

_MOST_SHOWN: Final = 300

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RequestLine:
    """The line of one request, filled in as it goes on."""

    request_id: str
    format: str
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
    begun: float = field(default_factory=time.perf_counter)
    first: float | None = None
    """When the first bytes of the answer were sent."""

    def sends(self) -> None:
        """Note that bytes of the answer are sent."""
        if self.first is None:
            self.first = time.perf_counter()

    def write(self) -> None:
        """Log it."""
        now, prepared, usage = time.perf_counter(), self.prepared or PreparedRequest(), self.usage
        facts: dict[str, object] = {
            "request_id": self.request_id,
            "caller": self.key,
            "format": self.format,
            "wish": self.wish,
            "asked": prepared.model[:_MOST_SHOWN],
            "model": str(prepared.address) if prepared.address.model else "",
            "stream": prepared.streams,
            "status": self.status,
            "ms": round((now - self.begun) * 1_000, 1),
        }
        if self.first is not None:
            facts["first_ms"] = round((self.first - self.begun) * 1_000, 1)
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

"""What is kept of one request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from multi_agent.gateway.preparing import PreparedRequest
from multi_agent.gateway.request_line import RequestLine
from multi_agent.models.wire.canonical import FormatName

_MOST_SHOWN = 300
_MOST_LOST = 10


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, as it is stored and printed."""

    request_id: str
    at: float
    """When it came, in seconds since 1970."""
    key: str
    """The name of the caller's key."""
    session: str
    """What the caller says belongs together; "" where it says nothing."""
    format: FormatName
    wish: str
    asked: str
    """The model that the caller named."""
    model: str
    """SERVICE:MODEL that was asked; "" for none."""
    stream: bool
    tries: int
    """How often a service was asked."""
    status: int
    """0 where the caller went away before there was one."""
    failure: str
    """Its kind; "" for none."""
    reason: str
    cancelled: bool
    """Whether the caller went away before the end."""
    ms: float
    first_ms: float | None
    """Until the first bytes of the answer; None without one."""
    input: int | None
    """Tokens, cached ones included; None where the service did not say."""
    cached: int | None
    output: int | None
    lost: tuple[str, ...]
    """What could not be said in the service's format, or of its answer in the caller's."""

    @property
    def tokens_per_second(self) -> float | None:
        """How fast an answer came; of a stream, since its first bytes. None where that is not known."""
        since = self.first_ms if self.stream and self.first_ms is not None else 0.0
        seconds = (self.ms - since) / 1_000
        return round(self.output / seconds, 1) if self.output and seconds > 0 else None

    @property
    def outcome(self) -> str:
        """How it ended, in one word."""
        return self.failure or ("cancelled" if self.cancelled else "ok")


def record_of(line: RequestLine, redact: Callable[[str], str]) -> RequestRecord:
    """What is kept of a request that has ended."""
    prepared, usage, failure = line.prepared or PreparedRequest(), line.usage, line.failure
    lost = (*prepared.lost, *line.lost)[:_MOST_LOST]
    return RequestRecord(
        request_id=line.request_id,
        at=round(line.at, 3),
        key=line.key,
        session=redact(line.session),
        format=line.format,
        wish=line.wish,
        asked=redact(prepared.model[:_MOST_SHOWN]),
        model=str(prepared.address) if prepared.address.model else "",
        stream=prepared.streams,
        tries=line.tries,
        status=line.status,
        failure=failure.kind if failure else "",
        reason=redact(failure.message[:_MOST_SHOWN]) if failure else "",
        cancelled=line.is_cancelled,
        ms=line.ms,
        first_ms=line.first_ms,
        input=usage.given if usage else None,
        cached=usage.cached if usage else None,
        output=usage.made if usage else None,
        lost=tuple(redact(one[:_MOST_SHOWN]) for one in lost),
    )

"""Why a caller gets no answer."""

from __future__ import annotations

from multi_agent.models.wire.failures import WireFailure


class GatewayRefusal(Exception):
    """Raised within a request for a failure that its caller is told in its own format."""

    def __init__(
        self,
        failure: WireFailure,
        *,
        retry_after: float | None = None,
        body: bytes | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after = retry_after
        """In seconds, None where nobody said."""
        self.body = body
        """What a service of the caller's own format said; None to say the failure."""
        self.status = status
        """Of that body."""


def overloaded(message: str) -> GatewayRefusal:
    """A refusal of a request for which there is no room now."""
    return GatewayRefusal(WireFailure("overloaded", message), retry_after=1.0)

"""Why a caller gets no answer."""

from __future__ import annotations

from multi_agent.gateway.budgets.budgets import OverKeyLimit
from multi_agent.models.wire.failures import FailureKind, WireFailure


class GatewayRefusal(Exception):
    """Raised within a request for a failure that its caller is told in its own format."""

    def __init__(
        self,
        failure: WireFailure,
        *,
        retry_after: float | None = None,
        body: bytes | None = None,
        status: int = 0,
        is_free: bool = False,
        is_final: bool = False,
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.retry_after = retry_after
        """In seconds, None where nobody said."""
        self.body = body
        """What a service of the caller's own format said; None to say the failure."""
        self.status = status
        """Of that body."""
        self.is_free = is_free
        """Whether the service took nothing for the request."""
        self.is_final = is_final
        """Whether no other try can help, whatever the kind of failure."""


def over_limit(error: OverKeyLimit) -> GatewayRefusal:
    """The refusal of a request that its key has no room for."""
    hit = error.hit
    if hit is None:
        return GatewayRefusal(WireFailure("permission", str(error)), is_final=True)
    if not hit.is_rate:
        return GatewayRefusal(WireFailure("spent", str(error)), is_final=True)
    # What can never fit is not to be asked again.
    kind: FailureKind = "invalid" if hit.is_never else "rate_limit"
    return GatewayRefusal(WireFailure(kind, str(error)), retry_after=error.retry_after, is_final=True)


def overloaded(message: str) -> GatewayRefusal:
    """A refusal of a request for which there is no room now."""
    return GatewayRefusal(WireFailure("overloaded", message), retry_after=1.0)

"""Tells of an outage once when it begins and once when it ends, however often it is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

_log: Final = structlog.get_logger(__name__)


class Outage:
    """Whether something is away."""

    def __init__(self, began: Callable[[str], None], ended: Callable[[float], None]) -> None:
        """`began` hears the reason, and `ended` how many seconds it took."""
        self._began = began
        self._ended = ended
        self._since: float | None = None

    def away(self, reason: object) -> None:
        """It was noticed to be away."""
        if self._since is None:
            self._since = time.monotonic()
            self._began(str(reason))

    def back(self) -> None:
        """It was noticed to be there."""
        if self._since is not None:
            seconds, self._since = time.monotonic() - self._since, None
            self._ended(seconds)


def logged_outage() -> Outage:
    """An outage of the bus that is told to the log."""
    return Outage(
        lambda reason: _log.warning("waiting_for_bus", reason=reason),
        lambda seconds: _log.info("bus_is_back", seconds=round(seconds, 1)),
    )

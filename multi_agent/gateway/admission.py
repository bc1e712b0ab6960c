"""How many requests, and how many bytes of them, are in memory at once.

What limits requests by what they cost, such as budgets and rates, is asked at the same place, once a request
is prepared and its bound of tokens is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from multi_agent.gateway.refusals import overloaded

MOST_REQUESTS: Final = 512
MOST_BYTES_AT_ONCE: Final = 256_000_000


class Admission:
    """Counts what is under way. Used in one event loop."""

    def __init__(self, most_requests: int = MOST_REQUESTS, most_bytes: int = MOST_BYTES_AT_ONCE) -> None:
        self._most_requests = most_requests
        self._most_bytes = most_bytes
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def request(self) -> Iterator[None]:
        """Room for one more request. Raises GatewayRefusal."""
        if self.requests >= self._most_requests:
            raise overloaded(f"{self.requests:,} requests are under way, which is the most; ask again later")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def body(self) -> Iterator[BodyRoom]:
        """Room for the bytes of a body, as they come."""
        room = BodyRoom(self, self._most_bytes)
        try:
            yield room
        finally:
            self.bytes -= room.taken


class BodyRoom:
    """What one body takes."""

    def __init__(self, admission: Admission, most: int) -> None:
        self._admission = admission
        self._most = most
        self.taken = 0

    def take(self, size: int) -> None:
        """Take more bytes. Raises GatewayRefusal."""
        if self._admission.bytes + size > self._most:
            raise overloaded("the requests under way fill the memory that they may have; ask again later")
        self._admission.bytes += size
        self.taken += size

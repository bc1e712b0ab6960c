"""What programs send to the port, each request by its deadline."""

from __future__ import annotations

import time
from io import RawIOBase
from socket import socket
from typing import Any


class Incoming(RawIOBase):
    """What a connection sends. Raises TimeoutError where a request takes too long, however it trickles in."""

    def __init__(self, connection: socket, seconds: float, idle_seconds: float) -> None:
        """seconds: of a whole request, the first from now on. idle_seconds: between two of them."""
        super().__init__()
        self._connection, self._seconds, self._idle_seconds = connection, seconds, idle_seconds
        self._deadline: float | None = time.monotonic() + seconds

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """See RawIOBase."""
        left = self._idle_seconds if self._deadline is None else self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        if self._deadline is None:
            self._deadline = time.monotonic() + self._seconds
        return count

    def request_ended(self) -> None:
        """What comes next is another one."""
        self._deadline = None

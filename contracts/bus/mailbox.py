"""Checks of arguments and the queue of a subscription, for every adapter of the bus."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


def checked_payload(stream: str, payload: Any) -> bytes:
    """Return the payload. Raises TypeError unless it is bytes, since the bus encodes nothing."""
    if isinstance(payload, bytes):
        return payload
    raise TypeError(f"payload for {stream} must be bytes, not {type(payload).__name__}")


def check_read(count: int, block_ms: int) -> None:
    """Raise ValueError for limits to which servers give surprising meanings."""
    if count < 1 or block_ms < 0:
        raise ValueError(f"count must be 1 or more and block_ms 0 or more, not {count} and {block_ms}")


def check_channels(channels: object) -> None:
    """Raise ValueError for a subscription to no channel."""
    if not channels:
        raise ValueError("channels must name at least one channel")


class Mailbox:
    """A queue of (channel, payload) for one reader. Above a limit the oldest are lost, as channels may."""

    def __init__(self, max_messages: int = 10_000, max_bytes: int = 64_000_000) -> None:
        self._messages: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, channel: str, payload: bytes) -> None:
        """Add a message; ignored once closed."""
        if self._closed:
            return
        self._messages.append((channel, payload))
        self._bytes += len(payload)
        while len(self._messages) > self._max_messages or self._bytes > self._max_bytes:
            self._bytes -= len(self._messages.popleft()[1])
        self._wake.set()

    async def get(self) -> tuple[str, bytes] | None:
        """Wait for the oldest message; None once closed."""
        while not self._closed:
            if self._messages:
                channel, payload = self._messages.popleft()
                self._bytes -= len(payload)
                return channel, payload
            self._wake.clear()
            await self._wake.wait()
        return None

    def close(self) -> None:
        """Drop all messages and release the reader."""
        self._closed = True
        self._messages.clear()
        self._wake.set()

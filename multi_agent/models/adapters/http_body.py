"""Limits HTTP answers in SDKs that use httpx or httpx2, its successor with the same interface."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

from contracts.base.errors import ModelRefused, ModelUnavailable

PLAIN_ANSWERS = {"Accept-Encoding": "identity"}
"""Headers of each request. The length of a compressed body would not tell its real size."""


def http_library() -> ModuleType:
    """Import httpx2 if it is installed, else httpx. Raises ImportError without either."""
    try:
        return importlib.import_module("httpx2")
    except ImportError:
        return importlib.import_module("httpx")


def body_limit(max_bytes: int) -> Callable[[Any], Awaitable[None]]:
    """Make a response hook for an httpx client: reading more than `max_bytes` raises ModelRefused."""

    async def hook(response: Any) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ModelUnavailable("the service compressed its answer although it was asked not to")
        if _announced(response.headers.get("content-length", "")) > max_bytes:
            raise _too_large(max_bytes)
        # httpx requires its own base class, and only the response tells which of the two libraries is used.
        library = importlib.import_module(type(response).__module__.partition(".")[0])
        stream_type = type("LimitedStream", (_LimitedStream, library.AsyncByteStream), {})
        response.stream = stream_type(response.stream, max_bytes)

    return hook


def _announced(content_length: str) -> int:
    return int(content_length) if content_length.isascii() and content_length.isdigit() else 0


def _too_large(max_bytes: int) -> ModelRefused:
    return ModelRefused(f"the service answered with more than {max_bytes:,} bytes; ask for less at once")


class _LimitedStream:
    def __init__(self, stream: Any, max_bytes: int) -> None:
        self._stream = stream
        self._left = max_bytes
        self._max_bytes = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._left < 0:
                raise _too_large(self._max_bytes)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()

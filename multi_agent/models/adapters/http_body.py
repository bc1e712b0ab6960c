"""A limit on HTTP answers for the SDKs that use httpx, or its successor httpx2 with the same interface."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

from contracts.base.errors import ModelRefused, ModelUnavailable

PLAIN_ANSWERS = {"Accept-Encoding": "identity"}
"""Sent with each request: a compressed body would say nothing about its real size."""


def http_library() -> ModuleType:
    """httpx2 where it is installed, else httpx. Raises ImportError without either."""
    try:
        return importlib.import_module("httpx2")
    except ImportError:
        return importlib.import_module("httpx")


def body_limit(max_bytes: int) -> Callable[[Any], Awaitable[None]]:
    """A response hook for an httpx client: reading more than `max_bytes` raises ModelRefused."""

    async def hook(response: Any) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ModelUnavailable("the service compressed its answer although it was asked not to")
        if _announced(response.headers.get("content-length", "")) > max_bytes:
            raise _too_large(max_bytes)
        # httpx insists on its own base class, and which of the two libraries this is only the response knows.
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

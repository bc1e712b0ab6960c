"""Requests at a fixed rate, and the times of their first bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from benchmarks.gateway.servers import STAYS_OPEN

MOST_SECONDS: Final = 30.0
"""For one answer."""


@dataclass(frozen=True, slots=True)
class Times:
    """Until the first byte, in milliseconds."""

    p50: float
    p99: float
    answered: int
    failed: int


def asked(text: str = "Hi") -> dict[str, Any]:
    """A request that both formats of chat completions and messages take."""
    said = [{"role": "user", "content": text}]
    return {"model": "m", "max_tokens": 50, "stream": True, "messages": said}


@asynccontextmanager
async def caller(key: str) -> AsyncIterator[ClientSession]:
    """A caller with as many connections as it needs."""
    connector, timeout = TCPConnector(limit=1_000), ClientTimeout(total=None)
    headers = {"Authorization": f"Bearer {key}"}
    async with ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        yield session


async def load(session: ClientSession, url: str, count: int, a_second: float) -> Times:
    """Ask so many times, whatever the answers take."""
    times: list[float] = []

    async def one() -> None:
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(MOST_SECONDS):
                times.append(await _first_byte(session, url))

    begun, asking = time.perf_counter(), []
    for number in range(count):
        await asyncio.sleep(max(0.0, begun + number / a_second - time.perf_counter()))
        asking.append(asyncio.create_task(one()))
    await asyncio.gather(*asking)
    times.sort()
    if not times:
        return Times(float("nan"), float("nan"), 0, count)
    p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
    return Times(round(p50 * 1_000, 1), round(p99 * 1_000, 1), len(times), count - len(times))


@asynccontextmanager
async def open_streams(session: ClientSession, url: str, count: int) -> AsyncIterator[None]:
    """So many streams that go on while the block runs. Raises RuntimeError where they do not begin."""
    begun = [asyncio.Event() for _ in range(count)]

    async def one(event: asyncio.Event) -> None:
        async with session.post(url, json=asked(STAYS_OPEN)) as reply:
            async for _ in reply.content.iter_any():
                event.set()

    streams = [asyncio.create_task(one(event)) for event in begun]
    try:
        _, late = await asyncio.wait([asyncio.create_task(one.wait()) for one in begun], timeout=MOST_SECONDS)
        for waiting in late:
            waiting.cancel()
        if late:
            raise RuntimeError(f"{len(late)} of {count} streams at {url} did not begin")
        yield
    finally:
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)


async def _first_byte(session: ClientSession, url: str) -> float:
    begun = time.perf_counter()
    async with session.post(url, json=asked()) as reply:
        reply.raise_for_status()
        await reply.content.readany()
        taken = time.perf_counter() - begun
        await reply.read()
    return taken

"""The common part of FastStream's two queues: the worker, and results on a list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import redis.asyncio as redis
from faststream.redis import RedisBroker

from benchmarks.notes import note
from benchmarks.peers.common import Peer

BATCH = 100


async def work(broker: RedisBroker, tasks: Sequence[dict[str, str]]) -> None:
    """Handle a batch of tasks."""
    for task in tasks:
        note(task["name"])
    await broker.publish_batch(*(task["name"] for task in tasks), list="results")


def faststream_peer(
    module: str,
    broker: RedisBroker,
    client: redis.Redis,
    send: Callable[[Sequence[tuple[str, str]]], Awaitable[list[str]]],
) -> Peer:
    """Make a peer whose worker serves the `app` of `benchmarks.peers.MODULE`."""

    async def stored() -> int:
        return int(await client.llen("results"))

    async def close() -> None:
        await broker.stop()
        await client.aclose()

    worker = ["python", "-m", "faststream", "run", f"benchmarks.peers.{module}:app", "--log-level", "warning"]
    return Peer(worker, send, stored, close=close)

"""FastStream on Redis lists, published and consumed in batches. Results go to another list."""

from __future__ import annotations

import os
from collections.abc import Sequence

import redis.asyncio as redis
from faststream import FastStream
from faststream.redis import ListSub, RedisBroker

from benchmarks.peers.common import REDIS_VARIABLE, Peer
from benchmarks.peers.faststream_common import BATCH, faststream_peer, work

broker = RedisBroker(os.environ[REDIS_VARIABLE], logger=None)
app = FastStream(broker)


@broker.subscriber(list=ListSub("tasks", batch=True, max_records=BATCH, polling_interval=0.005))
async def noop(tasks: list[dict[str, str]]) -> None:
    """Handle a batch of tasks."""
    await work(broker, tasks)


async def connect() -> Peer:
    """Return the peer, as benchmarks.peers.common requires."""
    client = redis.Redis.from_url(os.environ[REDIS_VARIABLE])
    await broker.connect()

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        messages = [{"name": name, "payload": payload} for name, payload in tasks]
        for first in range(0, len(messages), BATCH):
            await broker.publish_batch(*messages[first : first + BATCH], list="tasks")
        return []

    return faststream_peer("faststream_peer", broker, client, send)

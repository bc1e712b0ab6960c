"""FastStream on a Redis stream with a consumer group. Batches are acknowledged after the work."""

from __future__ import annotations

import os
from collections.abc import Sequence

import redis.asyncio as redis
from faststream import AckPolicy, FastStream
from faststream.redis import RedisBroker, StreamSub

from benchmarks.peers.common import REDIS_VARIABLE, Peer
from benchmarks.peers.faststream_common import BATCH, faststream_peer, work

broker = RedisBroker(os.environ[REDIS_VARIABLE], logger=None)
app = FastStream(broker)


@broker.subscriber(
    stream=StreamSub(
        "tasks",
        group="workers",
        consumer="one",
        batch=True,
        max_records=BATCH,
        polling_interval=1_000,
    ),
    ack_policy=AckPolicy.NACK_ON_ERROR,
)
async def noop(tasks: list[dict[str, str]]) -> None:
    """Handle a batch of tasks."""
    await work(broker, tasks)


async def connect() -> Peer:
    """Return the peer, as benchmarks.peers.common requires."""
    client = redis.Redis.from_url(os.environ[REDIS_VARIABLE])
    await broker.connect()
    # Otherwise the group would begin with the messages after the worker's start.
    await client.xgroup_create("tasks", "workers", id="0", mkstream=True)

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        for first in range(0, len(tasks), BATCH):
            async with client.pipeline(transaction=False) as pipeline:
                for name, payload in tasks[first : first + BATCH]:
                    message = {"name": name, "payload": payload}
                    await broker.publish(message, stream="tasks", pipeline=pipeline)
                await pipeline.execute()
        return []

    return faststream_peer("faststream_streams_peer", broker, client, send)

"""Taskiq on Redis, with its list queue, which is its lightest broker, and its result backend."""

from __future__ import annotations

import os
from collections.abc import Sequence

import redis.asyncio as redis
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from benchmarks.notes import note
from benchmarks.peers.common import SOCKET_VARIABLE, Peer

_URL = f"unix://{os.environ[SOCKET_VARIABLE]}"
broker = ListQueueBroker(_URL).with_result_backend(RedisAsyncResultBackend(_URL, prefix_str="result"))


@broker.task
async def noop(name: str, payload: str) -> str:
    """Note that the task ran."""
    note(name)
    return name


async def connect() -> Peer:
    """Return the peer, as benchmarks.peers.common requires."""
    client = redis.Redis.from_url(_URL)
    await broker.startup()

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        return [await one_send(*task) for task in tasks]

    async def one_send(name: str, payload: str) -> str:
        return f"result:{(await noop.kiq(name, payload)).task_id}"

    async def stored() -> int:
        return int(await client.eval("return #redis.call('KEYS', 'result:*')", 0))

    async def close() -> None:
        await broker.shutdown()
        await client.aclose()

    options = ["--workers", "1", "--log-level", "WARNING"]
    worker = ["python", "-m", "taskiq", "worker", "benchmarks.peers.taskiq_peer:broker", *options]
    return Peer(worker, send, stored, close=close)

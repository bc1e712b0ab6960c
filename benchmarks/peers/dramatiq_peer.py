"""Dramatiq on Redis with its Results middleware. One process has 8 threads, the default number of threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.notes import note
from benchmarks.peers.common import SOCKET_VARIABLE, Peer
from benchmarks.shapes import Graph

_URL = f"unix://{os.environ[SOCKET_VARIABLE]}"
_results = RedisBackend(url=_URL, namespace="results")
broker = RedisBroker(url=_URL)
broker.add_middleware(Results(backend=_results))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def noop(name: str, payload: str) -> str:
    """Note that the task ran."""
    note(name)
    return name


async def connect() -> Peer:
    """Return the peer, as benchmarks.peers.common requires."""
    client = redis.Redis.from_url(_URL)

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        def submit() -> list[str]:
            return [_results.build_message_key(noop.send(name, payload)) for name, payload in tasks]

        return await asyncio.to_thread(submit)

    async def stored() -> int:
        # The keys of results are hashes of 32 characters; the broker has a few keys with other names.
        return _hashed(client)

    async def run_graphs(graphs: list[Graph]) -> bool:
        return await asyncio.to_thread(_run_chain, graphs)

    worker = ["python", "-m", "dramatiq", "benchmarks.peers.dramatiq_peer", "--processes", "1"]
    return Peer(worker, send, stored, run_graphs)


def _hashed(client: redis.Redis) -> int:
    return sum(len(key) == 32 for key in client.keys("*"))


def _run_chain(graphs: list[Graph]) -> bool:
    """Run a chain as a pipeline; return False for other graphs."""
    if len(graphs) != 1 or "t0" not in graphs[0]:
        return False
    messages = [noop.message_with_options(args=(f"0/{name}", ""), pipe_ignore=True) for name in graphs[0]]
    pipeline = dramatiq.pipeline(messages).run()
    pipeline.get_result(block=True, timeout=300_000)
    return True

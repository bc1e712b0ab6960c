"""Huey on Redis, with its blocking queue, one consumer with one thread, and stored results."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from huey import RedisHuey

from benchmarks.notes import note
from benchmarks.peers.common import SOCKET_VARIABLE, Peer

huey = RedisHuey("bench", url=f"unix://{os.environ[SOCKET_VARIABLE]}")


@huey.task()
def noop(name: str, payload: str) -> str:
    """Note that the task ran."""
    note(name)
    return name


async def connect() -> Peer:
    """Return the peer, as benchmarks.peers.common requires."""

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        def submit() -> list[str]:
            return [noop(name, payload).id for name, payload in tasks]

        return await asyncio.to_thread(submit)

    async def stored() -> int:
        return int(huey.storage.result_store_size())

    worker = ["python", "-m", "huey.bin.huey_consumer", "benchmarks.peers.huey_peer.huey", "-w", "1", "-q"]
    return Peer(worker, send, stored)

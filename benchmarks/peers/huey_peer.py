"""Huey on Redis, its blocking queue, one consumer with one thread, results kept."""

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
    """The task."""
    note(name)
    return name


async def connect() -> Peer:
    """As benchmarks.peers.common wants it."""

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        def hand_in() -> list[str]:
            return [noop(name, payload).id for name, payload in tasks]

        return await asyncio.to_thread(hand_in)

    async def stored() -> int:
        return int(huey.storage.result_store_size())

    worker = ["python", "-m", "huey.bin.huey_consumer", "benchmarks.peers.huey_peer.huey", "-w", "1", "-q"]
    return Peer(worker, send, stored)

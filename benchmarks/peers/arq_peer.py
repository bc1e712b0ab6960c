"""Arq on Redis. It polls for jobs every 10 ms instead of its default of 500 ms."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.notes import note
from benchmarks.peers.common import SOCKET_VARIABLE, Peer

_SETTINGS = RedisSettings(unix_socket_path=os.environ[SOCKET_VARIABLE])


async def noop(_context: dict[str, Any], name: str, payload: str) -> str:
    """Note that the task ran."""
    note(name)
    return name


class WorkerSettings:
    """The settings that the arq worker reads."""

    functions: ClassVar = [noop]
    redis_settings = _SETTINGS
    poll_delay = 0.01
    max_jobs = 100


async def connect() -> Peer:
    """Return the peer, as benchmarks.peers.common requires."""
    pool = await create_pool(_SETTINGS)

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        return [await one_send(*task) for task in tasks]

    async def one_send(name: str, payload: str) -> str:
        job = await pool.enqueue_job("noop", name, payload)
        return f"arq:result:{job.job_id if job else ''}"

    async def stored() -> int:
        return int(await pool.eval("return #redis.call('KEYS', 'arq:result:*')", 0))

    worker = ["python", "-m", "arq", "benchmarks.peers.arq_peer.WorkerSettings"]
    return Peer(worker, send, stored, close=pool.aclose)

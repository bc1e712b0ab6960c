"""The jobs for all queues: start a Redis and workers, submit tasks, wait for stored results, check.

The module of a queue has `connect() -> Peer`. It is imported after `REDIS_VARIABLE` and `SOCKET_VARIABLE`
are set to the addresses of the server, in the measuring process and in the workers.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis.asyncio as redis_py

from benchmarks.notes import WrongResult, check_notes, read_notes, use_notes
from benchmarks.ours import percentiles
from benchmarks.services import Processes, private_redis, wait_until
from benchmarks.shapes import SHAPES, Graph, needs
from benchmarks.stopwatch import start

REDIS_VARIABLE: Final = "BENCHMARK_REDIS"
SOCKET_VARIABLE: Final = "BENCHMARK_SOCKET"
FOLDER_VARIABLE: Final = "BENCHMARK_FOLDER"
_POLL_SECONDS: Final = 0.002


async def _no_graphs(_graphs: list[Graph]) -> bool:
    return False


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue, set up as its own documentation does."""

    worker: Sequence[str]
    """The command of a worker process."""

    send: Callable[[Sequence[tuple[str, str]]], Awaitable[list[str]]]
    """Submits (name, payload) pairs in the fastest way; returns the keys of results in Redis, if any."""

    stored: Callable[[], Awaitable[int]]
    """Returns how many results are stored."""

    run_graphs: Callable[[list[Graph]], Awaitable[bool]] = _no_graphs
    """Runs graphs with the peer's own means and returns True when all is done.

    Returns False if the peer has none for such a graph. Then a driver here submits the tasks that are ready
    and polls for results.
    """

    close: Callable[[], Awaitable[None]] = _nothing


@dataclass(slots=True)
class RunningPeer:
    """A peer with its workers."""

    peer: Peer
    processes: Processes
    notes: Path
    client: redis_py.Redis

    warm: int = 0
    """Tasks that were done to warm up. They do not count."""

    async def wait_done(self, count: int, seconds: float) -> None:
        """Return when so many tasks have run since the notes were cleared, and all results are stored.

        The notes are read first, because counting results takes time of the server.
        """

        async def ran() -> bool:
            return self.notes.read_bytes().count(b"\n") >= count

        async def stored() -> bool:
            return await self.peer.stored() >= self.warm + count

        pause = 0.002 if count < 2_000 else 0.02
        await wait_until(ran, f"{count} tasks run\n{self.processes.log_end()}", seconds, pause)
        await wait_until(stored, f"{count} results are stored", seconds, pause)


@asynccontextmanager
async def running_peer(job: dict[str, Any], folder: Path) -> AsyncIterator[RunningPeer]:
    """Start a peer and warm it up. Job: `peer` (its module), `workers` (its processes)."""
    notes = use_notes(folder)
    async with private_redis(folder) as server:
        os.environ |= {
            REDIS_VARIABLE: server.tcp_url,
            SOCKET_VARIABLE: str(server.socket),
            FOLDER_VARIABLE: str(folder),
        }
        module = importlib.import_module(f"benchmarks.peers.{job['peer']}")
        peer: Peer = await module.connect()
        processes, client = Processes(folder), redis_py.Redis(unix_socket_path=str(server.socket))
        try:
            for number in range(job.get("workers", 1)):
                processes.start(f"worker-{number}", peer.worker)
            running, warm = RunningPeer(peer, processes, notes, client), 2 * job.get("workers", 1)
            for number in range(warm):
                await peer.send([(f"warm{number}", "")])
                await running.wait_done(number + 1, 60)
            running.warm = warm
            notes.write_text("")
            yield running
        finally:
            await processes.stop()
            await peer.close()
            await client.aclose()


async def queue(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure no-op tasks per second, until all results are stored. Job: `count`, `payload` (bytes)."""
    count, payload = job["count"], "x" * job["payload"]
    async with running_peer(job, folder) as running:
        began = start()
        await running.peer.send([(f"q{number}", payload) for number in range(count)])
        await running.wait_done(count, job.get("seconds", 120))
        took = time.monotonic() - began
    check_notes(read_notes(running.notes), {f"q{number}": () for number in range(count)})
    return {"value": count / took, "seconds": took}


async def latency(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the microseconds from the submission of a task to its handler's first line. Job: `count`."""
    sent: dict[str, int] = {}
    async with running_peer(job, folder) as running:
        start()
        for number in range(job["count"]):
            name = f"l{number}"
            sent[name] = time.monotonic_ns()
            await running.peer.send([(name, "")])
            await running.wait_done(number + 1, 30)
            await asyncio.sleep(0.01)
    found = read_notes(running.notes)
    check_notes(found, dict.fromkeys(sent, ()))
    return percentiles([(one.at - sent[one.name]) / 1000 for one in found])


async def dag(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure tasks per second. Job: `shape`, `size`, `workers`, `payload`, `seconds`."""
    graphs = SHAPES[job["shape"]](job["size"])
    graph = needs(graphs)
    async with running_peer(job, folder) as running:
        seconds = job.get("seconds", 120)
        began = start()
        async with asyncio.timeout(seconds):
            if not await running.peer.run_graphs(graphs):
                await _drive(running, graph, "x" * job.get("payload", 0))
        took = time.monotonic() - began
        await _check_stored(running, len(graph))
    check_notes(read_notes(running.notes), graph)
    return {"value": len(graph) / took, "seconds": took}


async def _check_stored(running: RunningPeer, count: int) -> None:
    try:
        await running.wait_done(count, 5)
    except TimeoutError:
        raise WrongResult(
            f"{await running.peer.stored() - running.warm} results are stored, not {count}"
        ) from None


async def _drive(running: RunningPeer, graph: Graph, payload: str) -> None:
    """Submit the tasks that are ready and poll for results, until all are done."""
    unmet = {name: len(before) for name, before in graph.items()}
    children: dict[str, list[str]] = {name: [] for name in graph}
    for name, before in graph.items():
        for one in before:
            children[one].append(name)
    out: dict[str, str] = {}
    ready = [name for name, count in unmet.items() if not count]
    while ready or out:
        if ready:
            keys = await running.peer.send([(name, payload) for name in ready])
            out.update(zip(keys, ready, strict=True))
            ready = []
        pipe = running.client.pipeline(transaction=False)
        for key in out:
            pipe.exists(key)
        found = [key for key, there in zip(list(out), await pipe.execute(), strict=True) if there]
        for done in (out.pop(key) for key in found):
            for child in children[done]:
                unmet[child] -= 1
                if not unmet[child]:
                    ready.append(child)
        if not found:
            await asyncio.sleep(_POLL_SECONDS)

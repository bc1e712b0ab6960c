"""What all queues have in common: start a Redis and workers, feed tasks, wait for stored results, check.

A queue's module has `connect() -> Peer`; it is imported after `REDIS_VARIABLE` and `SOCKET_VARIABLE` say
where the server is, in the measuring process as in the workers.
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
from benchmarks.services import Crew, private_redis, wait_until
from benchmarks.shapes import SHAPES, Graph, needs
from benchmarks.stopwatch import start

REDIS_VARIABLE: Final = "BENCHMARK_REDIS"
SOCKET_VARIABLE: Final = "BENCHMARK_SOCKET"
FOLDER_VARIABLE: Final = "BENCHMARK_FOLDER"
_POLL_SECONDS: Final = 0.002


async def _no_idiom(_graphs: list[Graph]) -> bool:
    return False


async def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Peer:
    """A queue as its own documentation sets it up.

    worker: the command of a worker process. send: hands in (name, payload) pairs the quickest way there is,
    and returns the keys of their results in Redis, where it has such. stored: how many results are stored.
    run_graphs: runs graphs with the peer's own means and returns when all is done; False where it has none
    for such a graph, and a driver here does it, which hands in what is ready and looks for results.
    """

    worker: Sequence[str]
    send: Callable[[Sequence[tuple[str, str]]], Awaitable[list[str]]]
    stored: Callable[[], Awaitable[int]]
    run_graphs: Callable[[list[Graph]], Awaitable[bool]] = _no_idiom
    close: Callable[[], Awaitable[None]] = _nothing


@dataclass(slots=True)
class Rig:
    """A peer with its workers; once warm, `warm` tasks have been done that do not count."""

    peer: Peer
    crew: Crew
    notes: Path
    client: redis_py.Redis
    warm: int = 0

    async def wait_done(self, count: int, seconds: float) -> None:
        """Return when so many tasks ran since the notes were cleared, and all results are stored.

        The notes come first, because to count results costs the server time.
        """

        async def ran() -> bool:
            return self.notes.read_bytes().count(b"\n") >= count

        async def stored() -> bool:
            return await self.peer.stored() >= self.warm + count

        pause = 0.002 if count < 2_000 else 0.02
        await wait_until(ran, f"{count} tasks run\n{self.crew.log_end()}", seconds, pause)
        await wait_until(stored, f"{count} results are stored", seconds, pause)


@asynccontextmanager
async def rigged(job: dict[str, Any], folder: Path) -> AsyncIterator[Rig]:
    """A peer that has done one task already; `peer` names its module, `workers` its processes."""
    notes = use_notes(folder)
    async with private_redis(folder) as server:
        os.environ |= {
            REDIS_VARIABLE: server.tcp_url,
            SOCKET_VARIABLE: str(server.socket),
            FOLDER_VARIABLE: str(folder),
        }
        module = importlib.import_module(f"benchmarks.peers.{job['peer']}")
        peer: Peer = await module.connect()
        crew, client = Crew(folder), redis_py.Redis(unix_socket_path=str(server.socket))
        try:
            for number in range(job.get("workers", 1)):
                crew.start(f"worker-{number}", peer.worker)
            rig, warm = Rig(peer, crew, notes, client), 2 * job.get("workers", 1)
            for number in range(warm):
                await peer.send([(f"warm{number}", "")])
                await rig.wait_done(number + 1, 60)
            rig.warm = warm
            notes.write_text("")
            yield rig
        finally:
            await crew.stop()
            await peer.close()
            await client.aclose()


async def queue(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """No-op tasks a second, `count` of them with `payload` bytes each, until all results are stored."""
    count, payload = job["count"], "x" * job["payload"]
    async with rigged(job, folder) as rig:
        began = start()
        await rig.peer.send([(f"q{number}", payload) for number in range(count)])
        await rig.wait_done(count, job.get("seconds", 120))
        took = time.monotonic() - began
    check_notes(read_notes(rig.notes), {f"q{number}": () for number in range(count)})
    return {"value": count / took, "seconds": took}


async def latency(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Microseconds from handing a task in to its handler's first line, `count` tasks one by one."""
    sent: dict[str, int] = {}
    async with rigged(job, folder) as rig:
        start()
        for number in range(job["count"]):
            name = f"l{number}"
            sent[name] = time.monotonic_ns()
            await rig.peer.send([(name, "")])
            await rig.wait_done(number + 1, 30)
            await asyncio.sleep(0.01)
    found = read_notes(rig.notes)
    check_notes(found, dict.fromkeys(sent, ()))
    return percentiles([(one.at - sent[one.name]) / 1000 for one in found])


async def dag(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Tasks a second of a shape: `shape`, `size`, `workers`, `payload`, `seconds`."""
    graphs = SHAPES[job["shape"]](job["size"])
    graph = needs(graphs)
    async with rigged(job, folder) as rig:
        seconds = job.get("seconds", 120)
        began = start()
        async with asyncio.timeout(seconds):
            if not await rig.peer.run_graphs(graphs):
                await _drive(rig, graph, "x" * job.get("payload", 0))
        took = time.monotonic() - began
        await _check_stored(rig, len(graph))
    check_notes(read_notes(rig.notes), graph)
    return {"value": len(graph) / took, "seconds": took}


async def _check_stored(rig: Rig, count: int) -> None:
    try:
        await rig.wait_done(count, 5)
    except TimeoutError:
        raise WrongResult(f"{await rig.peer.stored() - rig.warm} results are stored, not {count}") from None


async def _drive(rig: Rig, graph: Graph, payload: str) -> None:
    """Hand in what is ready, look which results are there, and so on."""
    unmet = {name: len(before) for name, before in graph.items()}
    children: dict[str, list[str]] = {name: [] for name in graph}
    for name, before in graph.items():
        for one in before:
            children[one].append(name)
    out: dict[str, str] = {}
    ready = [name for name, count in unmet.items() if not count]
    while ready or out:
        if ready:
            keys = await rig.peer.send([(name, payload) for name in ready])
            out.update(zip(keys, ready, strict=True))
            ready = []
        pipe = rig.client.pipeline(transaction=False)
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

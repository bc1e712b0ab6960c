"""Celery on Redis, with stored results and the pool that is fastest for tasks that do nothing (solo)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import redis
from celery import Celery, chain, chord, group

from benchmarks.notes import note
from benchmarks.peers.common import SOCKET_VARIABLE, Peer
from benchmarks.shapes import Graph

_SOCKET = os.environ[SOCKET_VARIABLE]
app = Celery("bench", broker=f"redis+socket://{_SOCKET}", backend=f"redis+socket://{_SOCKET}")
app.conf.update(task_serializer="json", worker_prefetch_multiplier=64)


@app.task(name="noop")
def noop(name: str, payload: str) -> str:
    """Note that the task ran."""
    note(name)
    return name


async def connect() -> Peer:
    """Return the peer, as benchmarks.peers.common requires."""
    client = redis.Redis(unix_socket_path=_SOCKET)
    options = [
        "--pool=solo",
        "--concurrency=1",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]
    worker = ["python", "-m", "celery", "-A", "benchmarks.peers.celery_peer", "worker", "-l", "warning"]

    async def send(tasks: Sequence[tuple[str, str]]) -> list[str]:
        def submit() -> list[str]:
            return [f"celery-task-meta-{noop.delay(name, payload).id}" for name, payload in tasks]

        return await asyncio.to_thread(submit)

    async def stored() -> int:
        # Only results add keys, and Celery itself does no work for this count.
        return int(client.eval("return #redis.call('KEYS', 'celery-task-meta-*')", 0))

    async def run_graphs(graphs: list[Graph]) -> bool:
        return await asyncio.to_thread(_run, graphs)

    return Peer([*worker, *options], send, stored, run_graphs)


def _run(graphs: list[Graph]) -> bool:
    """Run graphs as chains and chords of Celery's canvas; return False for other graphs."""
    canvases = [_canvas(number, graph) for number, graph in enumerate(graphs)]
    if any(canvas is None for canvas in canvases):
        return False
    for result in [canvas.delay() for canvas in canvases if canvas is not None]:
        result.get(timeout=300)
    return True


def _canvas(number: int, graph: Graph):  # type: ignore[no-untyped-def]
    def do(task: str):  # type: ignore[no-untyped-def]
        return noop.si(f"{number}/{task}", "")

    names = list(graph)
    if all(len(graph[name]) <= 1 for name in names) and names[-1] == f"t{len(names) - 1}":
        return chain(*(do(name) for name in names))
    if names[0] == "root":
        return chain(do("root"), chord(group(do(name) for name in names[1:-1]), do("join")))
    if "b1" in graph:
        b1 = chain(do("b1"), group(do("c1"), do("c2")))
        b2 = chain(do("b2"), group(do("d1"), do("d2")))
        return chain(do("a"), group(b1, b2), do("e"), do("f"), do("g"))
    return None

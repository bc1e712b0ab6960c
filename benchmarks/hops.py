"""Measures bare Redis streams: the hop between two processes, and a queue of two streams."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import redis.asyncio as redis_py

from benchmarks.notes import check_notes, note, read_notes, use_notes
from benchmarks.ours import percentiles
from benchmarks.services import Processes, Redis, private_redis
from benchmarks.stopwatch import start

_REQUESTS, _RESULTS, _GROUP = "requests", "results", "all"
_START_SECONDS: Final = 60


async def latency(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the microseconds from before an XADD to after the XREADGROUP of another asyncio process.

    Job: `count` (hops).
    """
    notes = use_notes(folder)
    sent: dict[str, int] = {}
    async with private_redis(folder) as server:
        client = await _prepared(server)
        processes = Processes(folder)
        processes.start("worker", ["python", "-m", "benchmarks.hops", str(server.socket), "1"])
        try:
            await _round_trip(client, "warm")
            notes.write_text("")
            start()
            for number in range(job["count"]):
                name = f"h{number}"
                sent[name] = time.monotonic_ns()
                await _round_trip(client, name)
                await asyncio.sleep(0.01)
        finally:
            await processes.stop()
            await client.aclose()
    found = read_notes(notes)
    check_notes(found, dict.fromkeys(sent, ()))
    return percentiles([(one.at - sent[one.name]) / 1000 for one in found])


async def queue(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure no-op tasks per second through two streams.

    Job: `count`, `payload` (bytes), `batch`, `seconds` (at most).
    """
    notes, count, batch = use_notes(folder), job["count"], job["batch"]
    async with private_redis(folder) as server:
        client = await _prepared(server)
        processes = Processes(folder)
        processes.start("worker", ["python", "-m", "benchmarks.hops", str(server.socket), str(batch)])
        try:
            await _round_trip(client, "warm")
            notes.write_text("")
            began = start()
            async with asyncio.timeout(job.get("seconds", 120)):
                sending = asyncio.create_task(_send(client, count, batch, "x" * job["payload"]))
                got = 0
                while got < count:
                    got += await _read_results(client, batch)
                await sending
            took = time.monotonic() - began
        finally:
            await processes.stop()
            await client.aclose()
    check_notes(read_notes(notes), {f"q{number}": () for number in range(count)})
    return {"value": count / took, "seconds": took}


async def _prepared(server: Redis) -> redis_py.Redis:
    client = redis_py.Redis(unix_socket_path=str(server.socket))
    for stream in (_REQUESTS, _RESULTS):
        await client.xgroup_create(stream, _GROUP, "0", mkstream=True)
    return client


async def _round_trip(client: redis_py.Redis, name: str) -> None:
    async with asyncio.timeout(_START_SECONDS):
        await client.xadd(_REQUESTS, {"d": json.dumps({"name": name})})
        while not await _read_results(client, 1):
            pass


async def _send(client: redis_py.Redis, count: int, batch: int, payload: str) -> None:
    for first in range(0, count, batch):
        pipe = client.pipeline(transaction=False)
        for number in range(first, min(count, first + batch)):
            pipe.xadd(_REQUESTS, {"d": json.dumps({"name": f"q{number}", "payload": payload})})
        await pipe.execute()


async def _read_results(client: redis_py.Redis, batch: int) -> int:
    """Read results, acknowledge and delete them; return how many."""
    found: Any = await client.xreadgroup(_GROUP, "driver", {_RESULTS: ">"}, count=batch, block=1000)
    if not found:
        return 0
    ids = [entry_id for entry_id, _ in found[0][1]]
    pipe = client.pipeline(transaction=False)
    pipe.xack(_RESULTS, _GROUP, *ids)
    pipe.xdel(_RESULTS, *ids)
    await pipe.execute()
    return len(ids)


async def work(path: str, batch: int) -> None:
    """Run the worker's loop until a signal ends the process."""
    client = redis_py.Redis(unix_socket_path=path)
    while True:
        found: Any = await client.xreadgroup(_GROUP, "worker", {_REQUESTS: ">"}, count=batch, block=10_000)
        for _, entries in found:
            pipe = client.pipeline(transaction=False)
            for _, fields in entries:
                name = json.loads(fields[b"d"])["name"]
                note(name)
                pipe.xadd(_RESULTS, {"d": json.dumps({"name": name})})
            ids = [entry_id for entry_id, _ in entries]
            pipe.xack(_REQUESTS, _GROUP, *ids)
            pipe.xdel(_REQUESTS, *ids)
            await pipe.execute()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], int(sys.argv[2])))

"""Submits workflows to an owner that no worker serves: `python -m tests.orchestrator.pressure 10000 5000`.

Prints what was accepted, the longest request stream and the memory of the process.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog

from contracts.base.errors import Busy
from contracts.messages.channels import Channels
from orchestrator.client.workflow_client import WorkflowClient
from tests.orchestrator.plans import item, plan
from tests.orchestrator.system import System, running
from tests.support.redis_servers import PrivateRedis


@dataclass(frozen=True)
class Pressure:
    """What came of it."""

    accepted: int
    told_to_wait: int
    open_workflows: int
    longest_stream: int


async def press(system: System, submissions: int, limit: int) -> Pressure:
    """Submit so many workflows of three ready tasks each, eight at a time."""
    client = WorkflowClient(system.database, max_open=limit)
    todo = plan(item("a"), item("b"), item("c"))
    counts = {"accepted": 0, "refused": 0}
    numbers = iter(range(submissions))

    async def submitter() -> None:
        for number in numbers:
            try:
                await client.submit(todo, workflow_id=f"w{number}")
                counts["accepted"] += 1
            except Busy:
                counts["refused"] += 1

    await asyncio.gather(*(submitter() for _ in range(8)))
    async with asyncio.timeout(300):
        while len(await client.workflows(100_000)) < counts["accepted"]:  # noqa: ASYNC110 - polls a database
            await asyncio.sleep(0.05)
    depth = await system.bus.depth(Channels.requests("coder"))
    return Pressure(counts["accepted"], counts["refused"], len(await client.workflows(100_000)), depth)


async def main(submissions: int, limit: int) -> None:
    """The measurement."""
    server = PrivateRedis().start()
    with tempfile.TemporaryDirectory() as folder:
        async with running(f"sqlite:///{folder}/state.db", server, Path(folder)) as system:
            print(await press(system, submissions, limit))
            await system.stop()
    server.stop()
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))

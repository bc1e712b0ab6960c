"""What the processes of a worker count is served as one, and is not lost with a process."""

from __future__ import annotations

import asyncio
import socket
import urllib.request

from tests.agents.owner import until
from tests.keeper.house import KeptWorker


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def test_counts_are_those_of_all_processes_the_dead_among_them(worker: KeptWorker) -> None:
    port = _free_port()
    worker.start("--metrics-port", str(port))
    await worker.ready()
    for number in range(3):
        await worker.dispatch(f"t{number}", {}, role="brief")
    await worker.owner.outcomes(3)
    await worker.dispatch("stuck", {"block": 60}, seconds=1)
    await worker.owner.outcomes(1)

    def served() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    wanted = (
        'multi_agent_task_outcomes_total{role="brief",status="succeeded"} 3.0',
        'multi_agent_task_outcomes_total{role="lasting",status="failed"} 1.0',
    )

    async def complete() -> bool:
        text = await asyncio.to_thread(served)
        return all(line in text for line in wanted)

    await until(complete)

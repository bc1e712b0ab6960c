"""Many quiet but busy agents: none is ended. Then many dead ones: each is found at once.

    python -m tests.keeper.crowd --agents 200

Agents block their event loops, compute, wait, and are stopped and continued, all within their deadlines and
for longer than a lease. Then every slot process is killed with -9, and the reports of their deaths are timed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click

from contracts.bus.redis_bus import RedisBus
from tests.agents.owner import Owner, until
from tests.keeper.house import LEASE_SECONDS, KeptWorker
from tests.support.redis_servers import PrivateRedis

_QUIET_LEASES = 2.5
_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """What became of the agents."""

    ended: int
    """Quiet ones whose process left, died or failed."""
    succeeded: int
    reported: int
    """Killed ones whose death was reported."""
    slowest_report: float
    """Seconds from the kill to the last report."""


async def try_crowd(worker: KeptWorker, agents: int) -> Crowd:
    """Let that many agents be quiet in one worker, then kill that many."""
    worker.start("--slots", str(agents))
    await worker.ready(agents + 2, _SECONDS)
    ended, succeeded = await _quiet(worker, agents)
    reported, slowest = await _dead(worker, agents)
    return Crowd(ended, succeeded, reported, slowest)


async def _quiet(worker: KeptWorker, agents: int) -> tuple[int, int]:
    seconds = LEASE_SECONDS * _QUIET_LEASES
    kinds = ({"block": seconds}, {"compute": seconds / 5}, {"wait": worker.mark("go")})
    for number in range(agents):
        orders = kinds[number % 3] | {"started": worker.mark(f"quiet-{number}")}
        await worker.dispatch(f"quiet-{number}", orders)
    pids = [await worker.marked(f"quiet-{number}", _SECONDS) for number in range(agents)]
    for pid in pids[::2]:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    for pid in pids[::2]:
        os.kill(pid, signal.SIGCONT)
    (worker.folder / "go").touch()
    outcomes = [event.data for event in await worker.owner.outcomes(agents, seconds=_SECONDS)]
    for outcome in outcomes:
        await worker.tell(outcome.worker_id, acknowledged=[outcome.execution_id])
    failed = sum(1 for outcome in outcomes if outcome.status != "succeeded")
    return failed + len(worker.owner.left), len(outcomes) - failed


async def _dead(worker: KeptWorker, agents: int) -> tuple[int, float]:
    for number in range(agents):
        orders = {"wait": worker.mark("never"), "started": worker.mark(f"dead-{number}")}
        await worker.dispatch(f"dead-{number}", orders)
    pids = [await worker.marked(f"dead-{number}", _SECONDS) for number in range(agents)]
    before = len(worker.owner.left)
    killed = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: len(worker.owner.left) >= before + agents, _SECONDS)
    died = [left for left in worker.owner.left[before:] if left.reason == "died"]
    return len(died), time.monotonic() - killed


async def _main(agents: int) -> Crowd:
    redis = PrivateRedis().start()
    with tempfile.TemporaryDirectory() as folder:
        bus = RedisBus(redis.url)
        owner = await Owner.on(bus)
        worker = KeptWorker(Path(folder), redis, owner)
        try:
            return await try_crowd(worker, agents)
        finally:
            worker.close()
            await owner.close()
            await bus.close()
            redis.stop()


@click.command()
@click.option("--agents", default=200, show_default=True)
def main(agents: int) -> None:
    """Try it once, and print what was found."""
    click.echo(asyncio.run(_main(agents)))


if __name__ == "__main__":
    main()

"""How soon the work goes on after kill -9: of a supervised worker, one that nobody watches, an orchestrator.

python -m tests.e2e.recovery --times 20
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from pydantic import SecretStr

from contracts.documents.todo_list import TodoItem, TodoList
from multi_agent.bootstrap import SCRATCH_MARK, make_bus, make_client, make_database, upgrade_database
from multi_agent.chaos.agents import ROLE, Orders
from multi_agent.chaos.load import write_answers
from multi_agent.runtime.supervisor import OrchestratorArgv, SupervisedProcess, Supervisor, worker_argv
from multi_agent.settings import Settings
from orchestrator.client.workflow_client import WorkflowClient
from tests.support.redis_servers import PrivateRedis

LEASE_SECONDS = 3.0
_POINT = "worker.before_run"
_WAIT_SECONDS = 60.0

GOALS = {"supervised": 1.0, "unsupervised": LEASE_SECONDS + 1.0, "orchestrator": 1.0}
"""Seconds until the task runs again; an orchestrator's count from when it was started again."""


@dataclass(frozen=True, slots=True)
class Start:
    """A worker's process began a task at `at`, in seconds since 1970."""

    at: float
    pid: int
    workflow_id: str


@dataclass(slots=True)
class System:
    """An orchestrator and three workers, with a log of every start of a task."""

    supervisor: Supervisor
    client: WorkflowClient
    log: Path
    _submitted: int = 0

    async def submit(self, milliseconds: int) -> str:
        """A workflow of one task."""
        self._submitted += 1
        item = TodoItem(
            task_id="t",
            title="t",
            description=Orders(milliseconds=milliseconds).model_dump_json(),
            agent_role=ROLE,
            output_artifacts=("t.txt",),
        )
        name = f"w{self._submitted}"
        plan = TodoList(todo_list_id=name, request="recovery", items=(item,))
        return await self.client.submit(plan, workflow_id=name)

    async def started(self, workflow_id: str, times: int = 1) -> Start:
        """The start of its task for the given time."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            found = [one for one in self._starts() if one.workflow_id == workflow_id]
            if len(found) >= times:
                return found[times - 1]
            if time.monotonic() > deadline:
                raise TimeoutError(f"{workflow_id} was started {len(found)} times in {_WAIT_SECONDS:g} s")
            await asyncio.sleep(0.02)

    def _starts(self) -> list[Start]:
        if not self.log.exists():
            return []
        lines = [line.split(" ") for line in self.log.read_text().splitlines()]
        return [Start(float(at), int(pid), about[0]) for at, pid, name, _, *about in lines if name == _POINT]

    async def lose_worker(self) -> float:
        """Kill the worker that runs a task; seconds until the task runs again."""
        workflow_id = await self.submit(60_000)
        first = await self.started(workflow_id)
        killed = time.time()
        os.kill(first.pid, signal.SIGKILL)
        again = await self.started(workflow_id, 2)
        await self.client.cancel(workflow_id, "recovery")
        await self._all_up()
        return again.at - killed

    async def lose_orchestrator(self) -> float:
        """Kill it; seconds from its next start until a task that was waiting runs."""
        owner = self.supervisor.processes[0]
        assert owner.process is not None
        before = owner.started_at
        os.kill(owner.process.pid, signal.SIGKILL)
        workflow_id = await self.submit(0)
        while owner.started_at == before:  # noqa: ASYNC110 - the supervisor has no event for it
            await asyncio.sleep(0.01)
        restarted = time.time() - (time.monotonic() - owner.started_at)
        ran = await self.started(workflow_id)
        await asyncio.sleep(1.0)
        return ran.at - restarted

    async def _all_up(self) -> None:
        """Until all workers are there and idle again."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            living = {one.worker_id for one in self.supervisor.processes if one.worker_id}
            if living <= {one.worker_id for one in await self.client.workers()}:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)


@asynccontextmanager
async def running(folder: Path, *, tells: bool) -> AsyncIterator[System]:
    """The system in an empty folder. `tells`: whether somebody reports a worker's death."""
    redis = PrivateRedis()
    settings = Settings(
        data_dir=folder / "data", redis_url=SecretStr(redis.start().url), lease_seconds=LEASE_SECONDS
    )
    settings.data.mkdir(parents=True)
    (settings.data / SCRATCH_MARK).touch()
    upgrade_database(settings)
    write_answers(folder / "answers")
    bus, database = make_bus(settings), make_database(settings)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "MULTI_AGENT_DATA_DIR": str(settings.data),
        "REDIS_URL": redis.url,
        "MULTI_AGENT_LEASE_SECONDS": str(LEASE_SECONDS),
        "MULTI_AGENT_MODEL": f"replay:{folder / 'answers'}",
        "MULTI_AGENT_FAILPOINTS": f"{_POINT}=note",
    }
    supervisor = Supervisor(bus, env, folder / "logs", max_wait_seconds=0.05)
    supervisor.start(SupervisedProcess("orchestrator", OrchestratorArgv()))
    argv = partial(worker_argv, (ROLE,), ("multi_agent.chaos.agents",))
    for number in range(3):
        supervisor.start(SupervisedProcess(f"worker-{number}", argv, reports_death=tells))
    watch = asyncio.create_task(supervisor.watch())
    try:
        yield System(supervisor, make_client(settings, database, bus), settings.data / "failpoints.log")
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch
        await supervisor.stop()
        await database.close()
        await bus.close()
        redis.stop()


async def measure(kind: str, times: int) -> list[float]:
    """Seconds of each recovery."""
    with tempfile.TemporaryDirectory(prefix="multi-agent-recovery-") as folder:
        async with running(Path(folder), tells=kind != "unsupervised") as system:
            await system.started(await system.submit(0))
            lose = system.lose_orchestrator if kind == "orchestrator" else system.lose_worker
            return [await lose() for _ in range(times)]


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.recovery", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="kills of each kind")
    parser.add_argument("--kinds", default=",".join(GOALS))
    given = parser.parse_args()
    missed = 0
    for kind in given.kinds.split(","):
        took = sorted(asyncio.run(measure(kind, given.times)))
        missed += sum(one > GOALS[kind] for one in took)
        print(
            f"{kind:13} {len(took)} kills, runs again after {median(took):.2f} s in the middle, "
            f"{took[-1]:.2f} s at most (goal {GOALS[kind]:g} s)",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

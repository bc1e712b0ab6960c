"""Runs this project as a user starts it: its processes, with a real Redis, database and Git."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, func, select

from benchmarks.noop import ROLE, WAIT
from benchmarks.notes import WrongResult, check_notes, read_notes, use_notes
from benchmarks.services import Processes, Redis, memory_of, private_redis, wait_until
from benchmarks.shapes import SHAPES, Graph, needs
from benchmarks.stopwatch import start
from contracts.bus.redis_bus import RedisBus
from contracts.bus.redis_subscription import RedisSubscription
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.messages.channels import Channels
from contracts.messages.events import decode
from contracts.messages.journal import TaskSucceeded
from contracts.messages.journal_rows import kind_of
from contracts.messages.payloads import WorkflowNotice
from multi_agent.bootstrap import make_bus, make_client, make_database, upgrade_database
from multi_agent.settings import Settings
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.state import TaskStatus, WorkflowStatus
from orchestrator.storage import tables as t
from orchestrator.storage.sql.database import Database

SLOTS = 64
_TOGETHER = 500
_ASK_SECONDS = 0.25
_ENDED = [status.value for status in WorkflowStatus if status.terminal]
_OURS = ("python", "-P", "-m", "multi_agent.cli")


@dataclass(slots=True)
class System:
    """The running system and a client of it."""

    settings: Settings
    processes: Processes
    database: Database
    client: WorkflowClient
    bus: RedisBus

    workers: int
    """The number of worker processes."""

    async def wait_ready(self) -> None:
        """Return when the orchestrator serves and all workers have joined."""

        async def joined() -> bool:
            return len(await self.client.workers()) >= self.workers and bool(
                await self.client.orchestrators()
            )

        await wait_until(joined, f"the system is ready\n{self.processes.log_end()}")

    async def run(self, plans: Sequence[TodoList], seconds: float) -> float:
        """Submit the plans and wait until all have ended; return the seconds it took."""
        names = {plan.todo_list_id for plan in plans}
        notices = self.bus.subscribe([Channels.WORKFLOW_EVENTS])
        try:
            await notices.ready()
            began = start()
            for first in range(0, len(plans), _TOGETHER):
                some = plans[first : first + _TOGETHER]
                await self.client.submit_all({plan.todo_list_id: plan for plan in some})
            await self._wait_ended(names, notices, seconds)
            return time.monotonic() - began
        finally:
            await notices.close()

    async def _wait_ended(self, names: set[str], notices: RedisSubscription, seconds: float) -> None:
        """Return when all have ended in the database. It is queried once there was a notice of each."""
        prefix = min(names).rpartition("-")[0] + "-"
        c = t.workflows.c
        query = select(func.count()).where(c.status.in_(_ENDED), c.workflow_id.startswith(prefix))
        open_names = set(names)

        async def listen() -> None:
            while open_names:
                _, payload = await anext(notices)
                notice = decode(payload).data
                if isinstance(notice, WorkflowNotice) and notice.status in _ENDED:
                    open_names.discard(notice.workflow_id)

        async def ended() -> bool:
            # A notice may be lost, so the database is also queried at intervals.
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASK_SECONDS):
                    await listen()
            found = await self.database.read(lambda connection: connection.execute(query).scalar_one())
            return bool(found >= len(names))

        await wait_until(ended, "the workflows end", seconds)

    async def check(self, prefix: str, tasks: int) -> None:
        """Check that every task of these workflows is stored as succeeded. Raises WrongResult."""

        def body(connection: Connection) -> tuple[int, int]:
            mine = t.tasks.c.workflow_id.startswith(prefix)
            done = t.tasks.c.status == TaskStatus.SUCCEEDED.value
            count = select(func.count()).select_from(t.tasks)
            good = connection.execute(count.where(mine, done)).scalar_one()
            entries = select(func.count()).select_from(t.journal)
            journal = t.journal.c.kind == kind_of(TaskSucceeded), t.journal.c.workflow_id.startswith(prefix)
            return int(good), int(connection.execute(entries.where(*journal)).scalar_one())

        if await self.database.read(body) != (tasks, tasks):
            raise WrongResult(f"not all {tasks} tasks are stored as succeeded\n{self.processes.log_end()}")


def plan_of(name: str, graph: Graph, number: int, payload: int = 0, wait: float = 0.0) -> TodoList:
    """Make a plan of no-op tasks. Each has `payload` bytes of description, or waits `wait` seconds."""
    items = [
        TodoItem(
            task_id=task,
            title=f"{number}/{task}",
            description=f"{WAIT}{wait}" if wait else "x" * payload,
            agent_role=ROLE,
            dependencies=before,
        )
        for task, before in graph.items()
    ]
    return TodoList(todo_list_id=name, request="benchmark", items=tuple(items))


def settings_for(folder: Path, redis: Redis, database_url: str | None) -> Settings:
    """Return the default settings, but with higher limits and without a log line for each task."""
    return Settings(
        data_dir=folder / "data",
        redis_url=SecretStr(redis.url),
        database_url=SecretStr(database_url) if database_url else None,
        artifact_store=None,
        max_tasks=100_000,
        max_open_workflows=1_000_000,
        slots=SLOTS,
        log_level="warning",
        model="replay",
    )


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables that pass the settings to the processes."""
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    redis = settings.redis_url.get_secret_value() if settings.redis_url else ""
    return {
        "MULTI_AGENT_DATA_DIR": str(settings.data),
        "REDIS_URL": redis,
        "DATABASE_URL": url,
        "MULTI_AGENT_SLOTS": str(settings.slots),
        "MULTI_AGENT_LOG_LEVEL": settings.log_level,
        "MULTI_AGENT_MODEL": "replay",
    }


@asynccontextmanager
async def running(
    folder: Path, *, workers: int = 1, database_url: str | None = None, extra: dict[str, str] | None = None
) -> AsyncIterator[System]:
    """Start the system and wait until it is ready. `extra` is added to its environment."""
    async with private_redis(folder) as redis:
        settings = settings_for(folder, redis, database_url)
        upgrade_database(settings)
        bus, database = make_bus(settings), make_database(settings)
        assert isinstance(bus, RedisBus)
        processes = Processes(folder)
        system = System(settings, processes, database, make_client(settings, database, bus), bus, workers)
        env = environment(settings) | (extra or {})
        try:
            processes.start("orchestrator", [*_OURS, "orchestrator"], env)
            for number in range(workers):
                agents = ["--agents", "benchmarks.noop", "--role", ROLE]
                processes.start(f"worker-{number}", [*_OURS, "worker", *agents], env)
            await system.wait_ready()
            yield system
        finally:
            await processes.stop()
            await bus.close()
            await database.close()


@asynccontextmanager
async def database_for(kind: str) -> AsyncIterator[str | None]:
    """Start a private PostgreSQL if `kind` is "postgres" and return its URL; else return None, for SQLite."""
    if kind != "postgres":
        yield None
        return
    from multi_agent.chaos.services.postgres import PrivatePostgres  # noqa: PLC0415 - an extra

    server = PrivatePostgres()
    try:
        server.start()
        yield server.new_database()
    finally:
        server.stop()


async def dag(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the tasks per second of a shape.

    Job: `shape`, `size`, `workers`, `database`, `payload` (bytes), `wait` (seconds that each task takes),
    `seconds` (at most).
    """
    graphs = SHAPES[job["shape"]](job["size"])
    tasks = sum(map(len, graphs))
    notes = use_notes(folder)
    async with (
        database_for(job.get("database", "sqlite")) as url,
        running(folder, workers=job.get("workers", 1), database_url=url) as system,
    ):
        await system.run([plan_of("warm-0", {"w": ()}, 0)], 60)
        notes.write_text("")
        orchestrator = system.processes.children[0].pid
        before = memory_of(orchestrator)
        plans = [
            plan_of(f"bench-{number}", graph, number, job.get("payload", 0), job.get("wait", 0.0))
            for number, graph in enumerate(graphs)
        ]
        took = await system.run(plans, job.get("seconds", 120))
        memory = memory_of(orchestrator) - before
        await system.check("bench-", tasks)
    check_notes(read_notes(notes), needs(graphs))
    return {"value": tasks / took, "seconds": took, "orchestrator_kb_per_task": memory * 1024 / tasks}


async def latency(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the microseconds from the commit that makes a task ready to its handler's first line.

    Job: `count` (tasks). The time of the commit comes from the failpoint after it, which only appends a
    line to a file.
    """
    notes = use_notes(folder)
    (folder / "data").mkdir()
    (folder / "data" / "chaos-scratch").touch()
    count = job["count"]
    failpoints = {"MULTI_AGENT_FAILPOINTS": "orchestrator.after_commit=note"}
    async with running(folder, extra=failpoints) as system:
        await system.run([plan_of("warm-0", {"w": ()}, 0)], 60)
        notes.write_text("")
        for number in range(count):
            await system.run([plan_of(f"bench{number}-0", {"t": ()}, number)], 30)
            await asyncio.sleep(0.01)
    # Failpoints use the wall clock. Both clocks are read here to convert their times.
    offset = time.time() - time.monotonic()
    log = (folder / "data" / "failpoints.log").read_text().splitlines()
    commits = sorted(float(line.split(" ", 1)[0]) - offset for line in log)
    hops = []
    for one in read_notes(notes):
        began = one.at / 1e9
        hops.append((began - max(at for at in commits if at <= began + 0.000_05)) * 1e6)
    if len(hops) != count:
        raise WrongResult(f"{len(hops)} of {count} tasks ran")
    return percentiles(hops)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return the median as `value`, p99 and the count."""
    ordered = sorted(max(0.0, value) for value in values)
    last = len(ordered) - 1
    return {"value": ordered[last // 2], "p99": ordered[min(last, round(last * 0.99))], "count": len(ordered)}

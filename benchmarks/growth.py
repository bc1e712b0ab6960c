"""Measures a store with many rows, and the start of an orchestrator with many open workflows."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select

from benchmarks.notes import WrongResult
from benchmarks.ours import plan_of, settings_for
from benchmarks.services import memory_of, private_redis
from benchmarks.shapes import small
from benchmarks.stopwatch import start
from contracts.messages.journal import TaskDispatched, TaskSucceeded
from contracts.messages.journal_rows import kind_of
from multi_agent.bootstrap import make_artifacts, make_bus, make_database, make_orchestrator, upgrade_database
from multi_agent.settings import Settings
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import Workflow
from orchestrator.scheduling.batch import Batch
from orchestrator.scheduling.engine import Engine
from orchestrator.storage import tables as t
from orchestrator.storage.loading import read_workflows
from orchestrator.storage.sql.database import Database
from orchestrator.storage.writing import write_rows

_CHUNK: Final = 500
_BATCH: Final = 256
_WINDOW: Final = 1024


async def fill(database: Database, workflows: int) -> None:
    """Write open workflows of 10 tasks, as the orchestrator writes them at their submission."""
    [graph] = small(1)
    engine = Engine(lambda: uuid.uuid4().hex, _WINDOW)
    for first in range(0, workflows, _CHUNK):
        for number in range(first, min(workflows, first + _CHUNK)):
            name = f"open-{number}"
            started = Workflow.start(
                name, plan_of(name, graph, number), shard=shard_of(name), now=time.time(), base_commit=None
            )
            engine.submit(started, time.time(), time.monotonic())
        batch, _ = engine.flush(time.time())
        await _write(database, batch)


async def _write(database: Database, batch: Batch) -> None:
    def body(connection: Connection) -> None:
        write_rows(connection, batch)

    await database.write(body)


async def start_up(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure the seconds until an orchestrator serves `workflows` open workflows, and their memory."""
    async with private_redis(folder) as redis:
        settings = settings_for(folder, redis, None)
        database = await new_database(settings)
        await fill(database, job["workflows"])
        bus, artifacts = make_bus(settings), make_artifacts(settings)
        orchestrator = make_orchestrator(
            settings, database, bus, artifacts, orchestrator_id="bench", gone=None
        )
        before = memory_of(os.getpid())
        began = start()
        running = asyncio.create_task(orchestrator.run())
        try:
            async with asyncio.timeout(job.get("seconds", 120)):
                await orchestrator.ready.wait()
            took = time.monotonic() - began
            orchestrator.stop()
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await artifacts.close()
            await bus.close()
            await database.close()
    memory = memory_of(os.getpid()) - before
    return {"value": took, "kb_per_workflow": memory * 1024 / max(1, job["workflows"])}


async def new_database(settings: Settings) -> Database:
    """Make an up-to-date database in the data folder."""
    await asyncio.to_thread(upgrade_database, settings)
    return make_database(settings)


async def full_store(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure how many results the store writes per second, in batches of 256.

    Job: `rows` (in the journal before), `batches`.
    """
    settings = Settings(data_dir=folder / "data")
    database = await new_database(settings)
    await fill(database, 100)
    await database.write(lambda connection: _fill_journal(connection, job["rows"]))
    names = [f"open-{number}" for number in range(100)]
    workflows = await database.read(lambda connection: list(read_workflows(connection, names)))
    known = [(one.header.workflow_id, task) for one in workflows for task in one.tasks.values()]
    batches = job["batches"]
    began = start()
    for number in range(batches):
        batch = Batch(time.time())
        for index in range(_BATCH):
            workflow_id, task = known[(number * _BATCH + index) % len(known)]
            batch.tasks[(workflow_id, task.task_id)] = task
            batch.journal.append((workflow_id, TaskSucceeded(task.task_id, 1, None, "", "d", "w")))
        await _write(database, batch)
    took = time.monotonic() - began
    await _check_journal(database, batches * _BATCH)
    await database.close()
    return {"value": batches * _BATCH / took, "seconds": took}


def _fill_journal(connection: Connection, rows: int) -> None:
    for first in range(0, rows, 10_000):
        many = [
            {
                "workflow_id": f"old-{n % 5_000}",
                "task_id": "t",
                "at": 0.0,
                "kind": kind_of(TaskDispatched),
                "data": {},
            }
            for n in range(first, min(rows, first + 10_000))
        ]
        connection.execute(insert(t.journal), many)


async def _check_journal(database: Database, expected: int) -> None:
    query = select(func.count()).where(t.journal.c.kind == kind_of(TaskSucceeded))
    found = await database.read(lambda connection: connection.execute(query).scalar_one())
    if found != expected:
        raise WrongResult(f"{found} of {expected} results are in the journal")

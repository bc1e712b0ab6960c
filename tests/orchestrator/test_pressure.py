"""More work than may be open: who brings it is told to wait (I9)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete

from contracts.base.errors import Busy
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.tables import commands
from tests.orchestrator.plans import item, plan
from tests.orchestrator.pressure import press
from tests.orchestrator.system import running
from tests.support.redis_servers import PrivateRedis

ONE = plan(item("a"))


async def test_exactly_the_limit_is_accepted_and_the_stream_stays_bounded(
    redis: PrivateRedis, tmp_path: Path
) -> None:
    async with running(f"sqlite:///{tmp_path / 'state.db'}", redis, tmp_path) as system:
        seen = await press(system, 600, 500)
        await system.stop()
    assert (seen.accepted, seen.told_to_wait, seen.open_workflows) == (500, 100, 500)
    assert 0 < seen.longest_stream <= 1024


async def test_those_that_submit_at_once_do_not_count_past_each_other(
    database_url: str, database: Database
) -> None:
    others = [open_database(database_url) for _ in range(4)]
    clients = [WorkflowClient(one, max_open=5) for one in (database, *others)]
    submits = [clients[number % 5].submit(ONE, workflow_id=f"w{number}") for number in range(20)]
    results = await asyncio.gather(*submits, return_exceptions=True)
    for one in others:
        await one.close()
    assert sum(isinstance(one, Busy) for one in results) == 15
    assert sum(isinstance(one, str) for one in results) == 5


async def test_what_was_accepted_may_be_submitted_again_beyond_the_limit(database: Database) -> None:
    client = WorkflowClient(database, max_open=1)
    await client.submit(ONE, workflow_id="w")
    assert await client.submit(ONE, workflow_id="w") == "w"
    with pytest.raises(Busy, match=r"1 workflows are open, the limit is 1; wait .*MAX_OPEN_WORKFLOWS"):
        await client.submit(ONE, workflow_id="other")


async def test_a_submission_waits_for_room(database: Database) -> None:
    client = WorkflowClient(database, max_open=1)
    await client.submit(ONE, workflow_id="w")
    waiting = asyncio.create_task(WorkflowClient(database, max_open=1).submit(ONE, wait_seconds=30))
    assert await WorkflowClient(database, max_open=2).submit(ONE, workflow_id="second") == "second"
    assert not waiting.done()
    await database.write(lambda connection: connection.execute(delete(commands)))
    assert await waiting

"""What the command line says while the database is away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.messages.journal import WorkflowStarted
from orchestrator.scheduling.batch import Batch
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from orchestrator.storage.store import Store
from tests.e2e.conftest import Cli
from tests.orchestrator.plans import WORKFLOW, Play, item, plan
from tests.orchestrator.test_store import everything
from tests.support.postgres import PrivatePostgres


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    server = PrivatePostgres().start()
    yield server
    server.stop()


async def store_workflow(url: str, play: Play) -> None:
    """A workflow that has begun, for somebody to watch."""
    upgrade(url)
    store = Store(open_database(url))
    batch = Batch(now=time.time(), created={WORKFLOW: play.workflow}, shards={play.workflow.header.shard})
    batch.journal.append((WORKFLOW, WorkflowStarted()))
    await store.commit(batch, await everything(store))
    await store.close()


async def test_an_outage_is_told_and_waited_out_or_refused(cli: Cli, postgres: PrivatePostgres) -> None:
    url = postgres.new_database()
    await store_workflow(url, Play(plan(item("a"))))
    watching = cli.start("watch", WORKFLOW, DATABASE_URL=url)
    assert watching.stdout is not None
    assert "started" in watching.stdout.readline()
    postgres.kill()
    waiting = watching.stdout.readline()
    assert waiting.startswith("waiting for the database (since ")
    plan_file = Path(__file__).parents[2] / "contracts" / "sample_todo_list.json"
    for words in (["status"], ["submit", str(plan_file)]):
        ended = cli(*words, code=1, DATABASE_URL=url)
        assert ended.stderr.startswith("Error: the database does not answer: "), (words, ended.stderr)
    postgres.start()
    assert watching.stdout.readline().startswith("the database is back after ")

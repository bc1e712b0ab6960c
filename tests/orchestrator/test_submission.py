"""Who interrupts a submission knows whether there is a workflow."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

from multi_agent.application.bases import RepositoryBase
from multi_agent.application.submission import Submission
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.orchestrator.plans import item, plan


async def test_an_interrupted_submission_names_what_was_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    database = open_database(url)
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    submission, client = Submission(), WorkflowClient(database)
    submitting = asyncio.create_task(submission.submit(client, plan(item("a")), RepositoryBase(), None))
    await asyncio.sleep(0)
    assert submission.workflow_id is not None
    submitting.cancel()
    await asyncio.sleep(0)
    holder.execute("COMMIT")
    holder.close()
    with contextlib.suppress(asyncio.CancelledError):
        await submitting
    assert submitting.cancelled()
    assert await client.resolve(None) == submission.workflow_id
    await database.close()


async def test_a_refused_submission_names_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    database = open_database(url)
    submission, client = Submission(), WorkflowClient(database, max_open=0)
    with pytest.raises(Exception, match="open"):
        await submission.submit(client, plan(item("a")), RepositoryBase(), None)
    assert submission.workflow_id is None
    await database.close()

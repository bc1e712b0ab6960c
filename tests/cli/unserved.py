"""A data folder that dead processes have left."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contracts.documents.todo_list import TodoItem
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.e2e.conftest import Cli
from tests.release.history import Desk

DATA = ".multi_agent"


def unserved(folder: Path, workflow_id: str, *items: TodoItem) -> Cli:
    """The command line in a folder with this workflow, which nobody serves."""
    (folder / DATA).mkdir()
    asyncio.run(_write(f"sqlite:///{folder / DATA / 'state.db'}", workflow_id, *items))
    return Cli(folder)


async def _write(url: str, workflow_id: str, *items: TodoItem) -> None:
    upgrade(url)
    database = open_database(url)
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit(workflow_id, *items)
    await database.close()

"""Writes what later versions must go on reading: `python -m tests.release.make`, once for each release."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestrator.storage.sql.database import open_database
from orchestrator.storage.store import Store
from tests.release.faces import describe_command_line, json_keys
from tests.release.history import write_history

FOLDER = Path(__file__).parent


def main() -> None:
    """Write the folder of the version that is installed."""
    folder = FOLDER / version("multi-agent")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        state = Path(data) / "state.db"
        asyncio.run(write_history(f"sqlite:///{state}"))
        connection = sqlite3.connect(state)
        (folder / "state.sql").write_text("\n".join(connection.iterdump()) + "\n", "utf-8")
        connection.close()
        _write(folder / "workflows.json", asyncio.run(read_statuses(f"sqlite:///{state}")))
        _write(folder / "json_keys.json", json_keys(Path(data)))
    _write(folder / "command_line.json", describe_command_line())


async def read_statuses(url: str) -> dict[str, dict[str, Any]]:
    """The status of each workflow and of its tasks, as this version understands the database."""
    database = open_database(url)
    try:
        store = Store(database)
        names = ["completed", "failed", "dead-lettered", "cancelled", "waiting", "running"]
        workflows = [workflow for name in names if (workflow := await store.load(name))]
    finally:
        await database.close()
    return {
        one.header.workflow_id: {
            "status": one.header.status.value,
            "tasks": {name: task.status.value for name, task in one.tasks.items()},
        }
        for one in workflows
    }


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()

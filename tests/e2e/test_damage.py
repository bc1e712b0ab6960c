"""A database with broken bytes, and a data folder that is replaced while it is served."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Cli
from tests.support.damage import break_pages

PLAN = {
    "todo_list_id": "p",
    "request": "r",
    "items": [{"task_id": "a", "title": "a", "agent_role": "coder"}],
}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("workflows", ("status",)),
        ("commands", ("why",)),
        ("workers", ("status",)),
        ("journal", ("events",)),
        ("journal", ("verify",)),
    ],
)
def test_a_damaged_database_is_named_with_what_to_do(cli: Cli, table: str, words: tuple[str, ...]) -> None:
    cli.write({"plan.json": json.dumps(PLAN)})
    cli("submit", "plan.json")
    database = cli.folder / ".multi_agent" / "state.db"
    break_pages(database, table)
    told = cli(*words, code=1).stderr
    assert "the database is damaged: database disk image is malformed" in told
    assert "multi-agent db backup" in told
    finding = next(one for one in cli.json("doctor", code=1) if one["name"] == "database")
    assert not finding["found"]
    assert "the database is damaged" in finding["detail"]


def _replace_database(data: Path) -> None:
    shutil.copy(data / "state.db", data / "restored.db")
    (data / "restored.db").rename(data / "state.db")


def _replace_artifacts(data: Path) -> None:
    (data / "artifacts.git").rename(data / "old.git")


def _replace_folder(data: Path) -> None:
    data.rename(data.with_name("moved"))


@pytest.mark.parametrize("replace", [_replace_database, _replace_artifacts, _replace_folder])
def test_what_is_replaced_while_it_is_served_is_served_no_more(
    cli: Cli, replace: Callable[[Path], None]
) -> None:
    data = cli.folder / ".multi_agent"
    up = cli.start("up", "--workers", "1")
    cli.until((data / "artifacts.git").exists, "the artifact store")
    cli.until(lambda: "orchestrator_started" in _log(data), "the orchestrator")
    replace(data)
    told, _ = up.communicate(timeout=60)
    assert up.returncode == 1
    assert "was moved, deleted or replaced while it was served" in told


def _log(data: Path) -> str:
    path = data / "logs" / "orchestrator.log"
    return path.read_text() if path.exists() else ""

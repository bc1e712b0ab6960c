"""What each release wrote is read by this version, and what programs rely on is still there."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from contracts.messages.events import decode
from contracts.messages.journal import JOURNAL_EVENTS, UnknownEvent
from contracts.messages.journal_rows import decode_journal
from orchestrator.core.commands import ACCEPTED, read_body
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.tables import commands, journal, outbox
from tests.release.faces import describe_command_line, json_keys
from tests.release.history import Desk, write_history
from tests.release.make import FOLDER, read_statuses

RELEASES = sorted(path.parent.name for path in FOLDER.glob("*/state.sql"))


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Path:
    return FOLDER / str(request.param)


@pytest.fixture
def url(release: Path, tmp_path: Path) -> str:
    """The database that the release wrote, upgraded."""
    state = tmp_path / "state.db"
    connection = sqlite3.connect(state)
    connection.executescript((release / "state.sql").read_text("utf-8"))
    connection.close()
    upgrade(f"sqlite:///{state}")
    return f"sqlite:///{state}"


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = open_database(url)
    yield opened
    await opened.close()


def recorded(release: Path, name: str) -> Any:
    return json.loads((release / name).read_text("utf-8"))


NEWER_KINDS = {
    "approval.asked",
    "approval.used",
    "task.call_rejected",
    "task.passed_on",
    "workflow.offered",
    "task.needs_plan",
    "task.planned",
    "task.contested",
    "task.suspended",
    "task.answered",
    "task.out_of_budget",
    "task.resumed",
    "budget.raised",
}
"""Of journal entries, that 0.1.0 did not write."""


def test_this_version_has_its_files() -> None:
    assert version("multi-agent") in RELEASES, "run python -m tests.release.make"


async def test_workflows_are_as_the_release_left_them(release: Path, url: str) -> None:
    assert await read_statuses(url) == recorded(release, "workflows.json")


async def test_every_journal_entry_is_decoded(database: Database) -> None:
    query = select(journal.c.kind, journal.c.task_id, journal.c.data)
    rows = await database.read(lambda connection: connection.execute(query).all())
    assert not [row for row in rows if isinstance(decode_journal(*row), UnknownEvent)]


def test_the_history_of_0_1_0_has_every_kind_of_entry() -> None:
    text = (FOLDER / "0.1.0" / "state.sql").read_text("utf-8")
    assert {kind for kind in JOURNAL_EVENTS if f"'{kind}'" not in text} == NEWER_KINDS


async def test_every_command_is_read(database: Database) -> None:
    rows = await database.read(
        lambda connection: connection.execute(select(commands.c.kind, commands.c.body)).all()
    )
    assert {read_body(kind, body).kind for kind, body in rows} == {
        "submit",
        "approve",
        "cancel",
        "retry",
        "retry-dead-letter",
    }


async def test_a_dead_letter_holds_a_dispatch_that_is_read(database: Database) -> None:
    [letter] = await Desk(database).client.dead_letters()
    event: Any = decode(letter.raw)
    assert (
        (letter.workflow_id, letter.task_id) == ("dead-lettered", "code") == (event.workflowid, event.taskid)
    )


async def test_work_goes_on(database: Database) -> None:
    """An orchestrator takes over: it empties the outbox and applies the commands that waited."""
    desk = Desk(database, prefix="later")
    await desk.start("orchestrator-2")
    busy, idle = await desk.store.open_workflow_ids(desk.assignment)
    for workflow in await desk.store.load_open([*busy, *idle]):
        desk.engine.adopt(workflow, desk.now)
    entries = await desk.store.load_outbox(desk.assignment)
    assert {entry.entry_id for entry in entries} >= desk.engine.in_flight.keys()
    desk.engine.pending.delivered += [entry.entry_id for entry in entries]
    applied = await desk.apply_commands()
    assert len(applied) == 3
    assert [await desk.client.result(name, 0.0) for name in applied] == [ACCEPTED] * 3
    await desk.commit()
    assert await database.read(lambda connection: connection.execute(select(outbox)).all()) == []
    views = {name: await desk.client.workflow(name) for name in ("running", "queued", "dead-lettered")}
    assert {name: view and view.header.status.value for name, view in views.items()} == {
        "running": "cancelled",
        "queued": "running",
        "dead-lettered": "running",
    }


def test_exit_codes_are_as_they_were(release: Path) -> None:
    before = recorded(release, "command_line.json")["exit_codes"]
    assert {name: describe_command_line()["exit_codes"].get(name) for name in before} == before


def test_what_was_typed_can_still_be_typed(release: Path) -> None:
    """Commands and options may be added; a word that was enough before is enough now."""
    now = describe_command_line()["commands"]
    for name, before in recorded(release, "command_line.json")["commands"].items():
        assert name in now, f"`{name}` is gone"
        found = now[name]
        assert before["options"].items() <= found["options"].items(), name
        assert found["arguments"][: len(before["arguments"])] == before["arguments"], name
        assert set(found["required"]) <= set(before["required"]), name


def test_json_has_the_keys_that_it_had(release: Path, url: str) -> None:
    """Of the database that the release wrote."""
    assert _missing_keys(release, Path(url.removeprefix("sqlite:///")).parent) == {}


def test_json_of_what_is_written_now_has_the_keys_that_it_had(release: Path, tmp_path: Path) -> None:
    asyncio.run(write_history(f"sqlite:///{tmp_path / 'state.db'}"))
    assert _missing_keys(release, tmp_path) == {}


def _missing_keys(release: Path, data: Path) -> dict[str, set[str]]:
    now = json_keys(data)
    before = recorded(release, "json_keys.json")
    gone = {name: set(keys) - set(now.get(name, ())) for name, keys in before.items()}
    return {name: keys for name, keys in gone.items() if keys}

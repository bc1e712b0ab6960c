"""The audit log as people see it: listed, checked, exported, anchored, and of it nothing hidden."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from artifacts import create_store, open_store
from contracts.base.errors import InvalidInput
from multi_agent.application.audit.effects import recorded
from multi_agent.cli import EXIT_DONE, EXIT_FAILED, cli
from multi_agent.runtime.observing.anchoring import Anchoring, anchored
from multi_agent.runtime.observing.hooks import Hook, audit_hook, read_hook
from multi_agent.settings import load_settings
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.audit.entries import AuditKind
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.release.history import Desk, item


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asyncio.run(_write(f"sqlite:///{tmp_path / 'state.db'}"))
    create_store(tmp_path / "artifacts.git")
    return tmp_path


async def _write(url: str) -> None:
    upgrade(url)
    database = open_database(url)
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await desk.submit("sma", item("code", requires_approval=True))
    await desk.client.reject("sma", "code", "ann", "my password is hunter2")
    await desk.apply_commands()
    await desk.client.cancel("sma", "bob")
    await desk.apply_commands()
    await database.close()


@pytest.fixture
async def client(data: Path) -> AsyncIterator[WorkflowClient]:
    database = open_database(f"sqlite:///{data / 'state.db'}")
    yield WorkflowClient(database)
    await database.close()


def run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, [*words, "--data-dir", str(data)])


def change(data: Path, *statements: str) -> None:
    connection = sqlite3.connect(data / "state.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_who_decided_what_is_listed_without_free_text(data: Path) -> None:
    shown = run(data, "audit", "list").output
    assert "commands 2  command.asked  ann (program)  sma/code  " in shown
    assert "command.applied  ann (command)  sma/code  " in shown
    assert "command.refused  bob (command)  sma  command=cancel" in shown
    assert "hunter2" not in shown
    assert len(run(data, "audit", "list", "--limit", "2").output.splitlines()) == 2
    [row] = json.loads(run(data, "audit", "list", "--kind", "command.refused", "--json").output)
    assert (row["who"], row["via"], row["workflow_id"], row["task_id"]) == ("bob", "command", "sma", None)
    assert len(row["hash"]) == 64
    assert run(data, "audit", "list", "--kind", "none").output == "no rows\n"


def test_a_whole_log_is_said_to_be_whole_and_a_changed_one_names_its_first_bad_row(data: Path) -> None:
    whole = run(data, "audit", "verify")
    assert whole.output.splitlines() == [
        "the log is whole; chains: 2, rows: 5",
        "  anchors in Git: 0, rows that came after them: 5",
    ]
    exported = data / "export.jsonl"
    exported.write_text(run(data, "audit", "export").output)
    assert "the log is whole; chains: 2, rows: 5" in run(data, "audit", "verify", str(exported)).output
    assert cli(["audit", "verify", str(exported)], standalone_mode=False) == EXIT_DONE
    change(data, "UPDATE audit SET entry = replace(entry, '\"ann\"', '\"eve\"') WHERE chain = 'commands'")
    changed = run(data, "audit", "verify")
    first, last, _ = changed.output.splitlines()
    assert first == "commands: row 2 is bad: its hash is not that of its text and of the row before"
    assert last == "the log is not whole; chains: 2, rows: 5"
    told = run(data, "audit", "verify", "--json")
    assert cli(["audit", "verify", "--data-dir", str(data)], standalone_mode=False) == EXIT_FAILED
    assert [(one["chain"], one["number"]) for one in json.loads(told.output)["bad"]] == [("commands", 2)]


def test_a_text_that_cannot_be_read_is_shown_as_that(data: Path) -> None:
    change(data, "UPDATE audit SET entry = '[7' WHERE chain = 'commands' AND number = 1")
    assert "(its text cannot be read)" in run(data, "audit", "list").output
    assert run(data, "audit", "list", "--json").exit_code == 0
    assert "commands: row 1 is bad" in run(data, "audit", "verify").output


def test_a_file_that_is_no_export_is_refused_with_its_line(data: Path) -> None:
    exported = data / "export.jsonl"
    exported.write_text(run(data, "audit", "export").output + "{}\n")
    refused = run(data, "audit", "verify", str(exported)).exception
    assert isinstance(refused, InvalidInput)
    assert str(refused) == "line 6: is no row of an export of the audit log"


async def test_heads_are_anchored_told_and_hold_against_who_makes_the_chain_anew(
    data: Path, client: WorkflowClient
) -> None:
    heard: list[dict[str, Any]] = []
    store = open_store(str(data / "artifacts.git"), data / "cache")
    hook = Hook("here", lambda body: heard.append(json.loads(body)))
    try:
        anchoring = Anchoring(client.audit, store, hook)
        await anchoring.look()
        await anchoring.look()
        async with anchored(client.audit, store, hook):
            await client.cancel("sma", "bob")
        assert [json.loads(text)["heads"] for _, text in await store.anchors()] == [
            told["heads"] for told in heard
        ]
    finally:
        await store.close()
    assert [(told["event"], told["heads"]["commands"][0]) for told in heard] == [
        ("audit.anchored", 3),
        ("audit.anchored", 4),
    ]
    change(
        data,
        "DELETE FROM audit WHERE chain = 'commands' AND number > 2",
        "UPDATE audit_heads SET number = 2, hash = (SELECT hash FROM audit WHERE chain = 'commands' "
        "AND number = 2) WHERE chain = 'commands'",
    )
    shown = await asyncio.to_thread(run, data, "audit", "verify")
    assert "commands: row 3 is bad: row 3 is missing: anchor " in shown.output


async def test_a_hook_that_fails_is_told_at_the_next_look(data: Path, client: WorkflowClient) -> None:
    heard: list[bytes] = []

    def fails_once(body: bytes) -> None:
        heard.append(body)
        if len(heard) == 1:
            raise OSError("away")

    store = open_store(str(data / "artifacts.git"), data / "cache")
    anchoring = Anchoring(client.audit, store, Hook("here", fails_once))
    for _ in range(3):
        await anchoring.look()
    await store.close()
    assert len(heard) == 2
    assert heard[0] == heard[1]


async def test_an_effect_whose_second_row_is_lost_is_shown_as_unknown(
    data: Path, client: WorkflowClient
) -> None:
    await client.audit.record(AuditKind.INTENDED, {"effect": "apply", "effect_id": "e1"})
    with pytest.raises(KeyError):
        async with recorded(client.audit, "branch", {}):
            raise KeyError("x")
    shown = await asyncio.to_thread(run, data, "audit", "verify")
    assert "commands: row 4: apply was intended; whether it was done is unknown" in shown.output
    assert "row 5" not in shown.output


async def test_nothing_is_done_that_cannot_be_recorded(data: Path, client: WorkflowClient) -> None:
    change(data, "ALTER TABLE audit RENAME TO gone")
    done = False
    with pytest.raises(Exception, match="no tables"):
        async with recorded(client.audit, "apply", {}):
            done = True
    assert not done


def test_keys_of_the_gateway_are_recorded_by_name(data: Path) -> None:
    keys = str(data / "keys.json")
    secret = run(data, "gateway-key", "ann", "--keys", keys, "--usd", "5").output.strip()
    run(data, "gateway-key", "ann", "--keys", keys, "--change", "--usd", "9")
    run(data, "gateway-key", "ann", "--keys", keys, "--remove")
    refused = run(data, "gateway-key", "ann", "--keys", keys, "--remove")
    assert isinstance(refused.exception, InvalidInput)
    rows = json.loads(run(data, "audit", "list", "--json").output)
    rows = [row for row in rows if row["kind"].startswith("effect.")]
    assert [(row["kind"], row["facts"]["effect"]) for row in rows] == [
        (f"effect.{end}", f"key.{what}")
        for what, last in (("add", "done"), ("change", "done"), ("remove", "done"), ("remove", "refused"))
        for end in ("intended", last)
    ]
    assert (rows[0]["facts"]["key"], rows[0]["facts"]["usd"], rows[2]["facts"]["usd"]) == ("ann", 5.0, 9.0)
    assert secret not in json.dumps(rows)


def test_a_hook_that_cannot_be_read_is_refused_by_its_name() -> None:
    settings = load_settings({"audit_hook": "ftp://host"})
    with pytest.raises(InvalidInput, match="MULTI_AGENT_AUDIT_HOOK: an address begins with http"):
        audit_hook(settings)
    assert audit_hook(load_settings({})) is None
    assert read_hook("http://here.example/x").shown == "http://here.example"

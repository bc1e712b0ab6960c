"""Where no process serves a data folder, every command that shows it says so, and what to do."""

from __future__ import annotations

import os
import shlex
import sqlite3
import time
from pathlib import Path

import pytest

from multi_agent.runtime.locks import FileLock
from tests.cli.test_pasted import SCRIPT, pasted
from tests.cli.unserved import DATA, unserved
from tests.e2e.conftest import Cli
from tests.release.history import item


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A folder with the workflow `wait-7f`, one task of which waits for approval, left by dead processes."""
    return unserved(tmp_path, "wait-7f", item("a", requires_approval=True), item("b"))


def test_status_says_that_nothing_goes_on_and_what_makes_it_go_on(cli: Cli) -> None:
    for words in (["status"], ["status", "wait-7f"]):
        told = cli(*words).stdout
        assert "open, not served" in told
        assert "running" not in told
        assert f"nothing serves this folder, so nothing goes on; {cli_program()} up" in told
    assert cli.json("status")["served"] is False


def cli_program() -> str:
    """How commands name the program here."""

    return str(SCRIPT)


def test_a_held_lock_is_somebody_who_serves(cli: Cli) -> None:
    lock = FileLock(cli.folder / DATA / "orchestrator.lock")
    assert lock.acquire()
    assert cli.json("status")["served"] is True
    assert "nothing serves" not in cli("status").stdout
    lock.release()
    assert cli.json("status")["served"] is False


def test_asking_who_serves_changes_no_note_and_disturbs_no_start(tmp_path: Path) -> None:
    lock, asking = FileLock(tmp_path / "l"), FileLock(tmp_path / "l")
    assert lock.acquire()
    lock.describe({"redis_url": "unix://x"})
    lock.release()
    assert not asking.held_by_other()
    assert lock.note()["redis_url"] == "unix://x"


def test_why_says_at_once_that_nobody_lives_and_what_to_do(cli: Cli) -> None:
    before = time.monotonic()
    told = cli("why", "wait-7f", MULTI_AGENT_LEASE_SECONDS="60").stdout
    assert time.monotonic() - before < 30
    assert f"no orchestrator is alive: none has renewed its lease meanwhile; {cli_program()} up" in told
    assert f"a: waits for approval; {cli_program()} approve wait-7f a" in told


def test_status_shows_what_waits_for_a_person(cli: Cli) -> None:
    assert f"waits for a person: 1 approvals, 0 dead letters; {cli_program()} status --waiting" in (
        cli("status").stdout
    )
    told = cli("status", "--waiting").stdout
    [allow] = [line.split("allow", 1)[1] for line in told.splitlines() if line.startswith("  allow")]
    assert cli.json("status", "--waiting")["waiting"][0]["task_id"] == "a"
    assert "noted: a of wait-7f is allowed" in cli(*shlex.split(allow)[1:]).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cancel", "7f"], "noted: wait-7f is cancelled;"),
        (["retry", "wait", "b"], "noted: b of wait-7f gets fresh attempts;"),
        (["reject", "7f"], "noted: a of wait-7f is refused;"),
    ],
)
def test_a_decision_says_what_it_does_to_what(cli: Cli, words: list[str], told: str) -> None:
    assert told in cli(*words).stdout
    connection = sqlite3.connect(cli.folder / DATA / "state.db")
    rows = connection.execute("SELECT workflow_id FROM commands WHERE kind = ?", (words[0],)).fetchall()
    connection.close()
    assert rows == [("wait-7f",)]


@pytest.mark.parametrize(("typed", "found"), [("wa", "plain,wait-7f"), ("7f", "plain,wait-7f"), ("zz", "")])
def test_ids_are_completed(cli: Cli, typed: str, found: str) -> None:
    asked = f"_MULTI_AGENT_COMPLETE=bash_complete COMP_WORDS='multi-agent watch {typed}' COMP_CWORD=2"
    assert pasted(f"{asked} {SCRIPT}", cli.folder, os.defpath).stdout.strip() == found.strip()

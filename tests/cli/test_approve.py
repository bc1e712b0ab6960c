"""An approval is about what the person was shown, and about nothing else."""

from __future__ import annotations

import asyncio
import os
import shlex
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from multi_agent.application.approvals.shown_actions import MOST_KEPT, ShownActions
from multi_agent.application.waiting import PendingApproval, pending_approvals
from orchestrator.storage.sql.database import open_database
from tests.cli.terminals import run_on_terminal
from tests.cli.unserved import DATA, unserved
from tests.e2e.conftest import Cli
from tests.release.history import Desk, item

SHOWING = (["approve", "wait", "--show"], ["status", "wait"], ["watch", "wait"])


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A data folder with a workflow `wait`, whose only task `a` waits for approval; nobody serves it."""
    return unserved(tmp_path, "wait", item("a", requires_approval=True))


async def _read(url: str) -> PendingApproval:
    database = open_database(url)
    view = await Desk(database).client.workflow("wait")
    await database.close()
    assert view is not None
    [found] = pending_approvals(view)
    return found


def pending(cli: Cli) -> PendingApproval:
    return asyncio.run(_read(f"sqlite:///{cli.folder / DATA / 'state.db'}"))


def decided(cli: Cli) -> list[str]:
    """The kinds of decisions that were stored."""
    connection = sqlite3.connect(cli.folder / DATA / "state.db")
    rows = connection.execute("SELECT kind FROM commands WHERE kind <> 'submit'").fetchall()
    connection.close()
    return [kind for (kind,) in rows]


def test_what_nobody_saw_is_shown_and_not_approved(cli: Cli) -> None:
    for _ in range(2):  # being told what would be allowed is no agreement
        ended = cli("approve", "wait", code=2)
        assert "Make a" in ended.stdout
        assert "was not shown to you yet" in ended.stderr
        assert decided(cli) == []
    command = ended.stderr.partition("allow exactly this: ")[2]
    assert "noted" in cli(*shlex.split(command)[1:]).stdout
    assert decided(cli) == ["approve"]


def test_the_command_to_paste_names_the_folder_that_was_named(cli: Cli) -> None:
    ended = cli("approve", "wait", "--data-dir", str(cli.folder / DATA), code=2)
    assert f"--hash {pending(cli).action_hash} --data-dir {cli.folder / DATA}" in ended.stderr


@pytest.mark.parametrize("showing", SHOWING, ids=" ".join)
def test_what_was_shown_is_approved(cli: Cli, showing: list[str]) -> None:
    shown = cli(*showing, code=3 if showing[0] == "watch" else 0).stdout
    assert f"hash {pending(cli).action_hash}" in shown
    assert '"title": "Make a"' in shown
    assert "noted" in cli("approve", "wait").stdout
    assert decided(cli) == ["approve"]


def test_what_does_not_show_the_action_does_not_count(cli: Cli) -> None:
    for silent in ("status", "status --json", "status wait --json", "events wait", "why wait"):
        cli(*silent.split())
    cli("approve", "wait", code=2)
    assert decided(cli) == []


def seen_before_a_change(cli: Cli) -> None:
    ShownActions(cli.folder / DATA).note([replace(pending(cli), action_hash="0" * 64)])


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_what_has_changed_since_is_neither_approved_nor_rejected(cli: Cli, decision: str) -> None:
    seen_before_a_change(cli)
    ended = cli(decision, "wait", code=2)
    assert ("has changed" in ended.stderr) or ("look at it again" in ended.stderr)
    assert decided(cli) == []


@pytest.mark.parametrize(
    ("answer", "code", "kinds"), [("y\n", 0, ["approve"]), ("n\n", 3, []), ("\n", 3, [])]
)
def test_on_a_terminal_it_shows_and_asks(cli: Cli, answer: str, code: int, kinds: list[str]) -> None:
    shown = run_on_terminal(cli.folder, "approve", "wait", typed=answer)
    assert shown.text.index('"title": "Make a"') < shown.text.index("allow exactly this?")
    assert (shown.code, decided(cli)) == (code, kinds)


def test_a_rejection_needs_no_look_and_keeps_to_one(cli: Cli) -> None:
    assert "hashes to" in cli("reject", "wait", "--hash", "0" * 64, code=2).stderr
    assert decided(cli) == []
    assert "noted" in cli("reject", "wait").stdout
    cli("approve", "wait", "--show")
    assert "noted" in cli("reject", "wait").stdout
    assert decided(cli) == ["reject", "reject"]


@pytest.mark.parametrize("how", ["written by others", "a link", "nonsense", "a list"])
def test_a_memory_that_others_may_have_written_counts_as_none(cli: Cli, how: str) -> None:
    shown = ShownActions(cli.folder / DATA)
    shown.note([pending(cli)])
    file = cli.folder / DATA / f"shown-{os.geteuid()}.json"
    assert (file.stat().st_mode & 0o777, shown.last(pending(cli))) == (0o600, pending(cli).action_hash)
    if how == "written by others":
        file.chmod(0o666)
    elif how == "a link":
        file.replace(file.with_name("elsewhere"))
        file.symlink_to("elsewhere")
    else:
        file.write_text({"nonsense": "{", "a list": "[]"}[how])
    assert shown.last(pending(cli)) is None


def test_the_memory_is_bounded_and_forgets_the_oldest(cli: Cli) -> None:
    shown, one = ShownActions(cli.folder / DATA), pending(cli)
    many = [replace(one, workflow_id=f"w{number}") for number in range(MOST_KEPT)]
    shown.note([one])
    shown.note(many)
    assert (shown.last(one), shown.last(many[0])) == (None, one.action_hash)


def test_a_folder_that_cannot_be_written_forgets(cli: Cli) -> None:
    shown = ShownActions(cli.folder / "nowhere")
    shown.note([pending(cli)])
    assert shown.last(pending(cli)) is None

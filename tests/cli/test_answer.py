"""`answer` answers exactly what the person was shown."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from orchestrator.core.commands import AnswerBody, read_body
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.cli.terminals import run_on_terminal
from tests.cli.unserved import DATA
from tests.e2e.conftest import Cli
from tests.release.history import Desk, item

QUESTION = {"text": "Which rounding?\nThe request names none.", "choices": ["half up", "to even"]}


async def ask(desk: Desk) -> None:
    """A workflow `sma`, whose only task `code` waits for an answer."""
    await desk.submit("sma", item("code"), questions=True)
    await desk.finish("sma", "code", status="suspended", suspended={"question": QUESTION})


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A data folder in which a task asks; nobody serves it."""
    (tmp_path / DATA).mkdir()
    asyncio.run(_write(f"sqlite:///{tmp_path / DATA / 'state.db'}"))
    return Cli(tmp_path)


async def _write(url: str) -> None:
    upgrade(url)
    database = open_database(url)
    desk = Desk(database)
    await desk.start("orchestrator-1")
    await ask(desk)
    await database.close()


def answers(cli: Cli) -> list[str]:
    """The texts that were stored."""
    connection = sqlite3.connect(cli.folder / DATA / "state.db")
    rows = connection.execute("SELECT kind, body FROM commands WHERE kind <> 'submit'").fetchall()
    connection.close()
    bodies = [read_body(*row) for row in rows]
    return [body.text for body in bodies if isinstance(body, AnswerBody)]


@pytest.mark.parametrize(
    ("showing", "code"),
    [(["answer", "--show"], 0), (["status", "sma"], 0), (["status", "--waiting"], 0), (["watch", "sma"], 3)],
)
def test_what_was_shown_is_answered(cli: Cli, showing: list[str], code: int) -> None:
    shown = cli(*showing, code=code).stdout
    assert showing[1] != "sma" or code or "sma  waiting for a person" in shown
    for line in ("  Which rounding?", "  The request names none.", "  1. half up", "  2. to even"):
        assert line in shown.splitlines()
    assert "noted: code of sma is answered" in cli("answer", "sma", "2").stdout
    assert answers(cli) == ["to even"]


def test_what_was_not_shown_is_shown_and_not_answered(cli: Cli) -> None:
    ended = cli("answer", "sma", "code", "as in Excel", code=2)
    assert "  Which rounding?" in ended.stdout.splitlines()
    assert "task code was not shown to you yet; to answer exactly this: " in ended.stderr
    assert "multi-agent answer sma code 'as in Excel' --hash " in ended.stderr
    assert answers(cli) == []
    found = ended.stderr.split()[-1]
    cli("answer", "ma", "code", "as in Excel", "--hash", found)
    assert answers(cli) == ["as in Excel"]


def test_on_a_terminal_it_shows_and_asks(cli: Cli) -> None:
    for typed, code, stored in (("n\n", 3, []), ("y\n", 0, ["never"])):
        shown = run_on_terminal(cli.folder, "answer", "never", typed=typed)
        assert "answer exactly this? [y/N]" in shown.text
        assert (shown.code, answers(cli)) == (code, stored)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "0 words: give [WORKFLOW] [TASK] TEXT"),
        (["sma", "code", "two", "words"], "4 words: give [WORKFLOW] [TASK] TEXT; quote an answer"),
        (["--show", "sma", "code", "text"], "3 words: give [WORKFLOW] [TASK]; quote"),
        (["sma", "test", "x"], "tasks that wait for an answer: sma code; name one of them"),
        (["x", "--hash", "0" * 64], "not to 0000"),
        (["x", "--hash", ""], "not to ;"),
    ],
)
def test_mistakes_are_named(cli: Cli, words: list[str], says: str) -> None:
    cli("answer", "--show")
    assert says in cli("answer", *words, code=2).stderr


@pytest.mark.parametrize("text", ["", "code", "cod", "sma"])
def test_a_name_alone_is_no_answer(cli: Cli, text: str) -> None:
    cli("answer", "--show")
    ended = cli("answer", text, code=2)
    assert f"answer {text!r}: is no answer; say what you answer: " in ended.stderr
    assert "multi-agent answer sma code TEXT" in ended.stderr


def test_who_looks_is_told(cli: Cli) -> None:
    [asked] = cli.json("status", "--waiting")["questions"]
    assert asked["task_id"] == "code"
    assert {"text": asked["question"], "choices": asked["choices"]} == QUESTION
    assert "waits for a person: 0 approvals, 1 questions, 0 dead letters" in cli("status").stdout
    [task] = cli.json("status", "sma")["tasks"]
    assert (task["status"], task["question"]) == ("waiting_answer", QUESTION)
    why = cli.json("why", "sma", MULTI_AGENT_LEASE_SECONDS="1.5")["reasons"]
    [reason] = [one for one in why if one["task_id"]]
    assert reason["text"] == "asks a person: Which rounding? The request names none."
    assert reason["do"].endswith("multi-agent answer sma code --show")
    told = "(attempt 1, question Which rounding? The request names none., choices half up, to even)"
    assert f"code: suspended {told}" in cli("events", "sma").stdout

"""`multi-agent approvals`: long actions are read whole, rules are proposed and signed, and counted."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from contracts.base.errors import InvalidInput
from multi_agent.application.approvals.pages import PAGE, pages_of
from multi_agent.application.approvals.policies import parse_policy
from multi_agent.cli import cli
from tests.cli.test_approve import decided
from tests.cli.unserved import DATA, unserved
from tests.e2e.conftest import Cli
from tests.release.history import item


class Desk:
    """Calls commands in this process, about one data folder."""

    def __init__(self, made: Cli) -> None:
        self.made = made

    def __call__(self, *words: str) -> str:
        """What a command that ends well prints."""
        result = self._invoke(*words)
        assert result.exception is None, result.exception
        return result.output

    def refused(self, *words: str) -> str:
        """Why a command is refused."""
        error = self._invoke(*words).exception
        assert isinstance(error, InvalidInput | click.ClickException)
        return error.format_message() if isinstance(error, click.ClickException) else str(error)

    def pasted(self, command: str) -> str:
        """What a command prints that was printed to be pasted."""
        words = shlex.split(command)[1:]
        at = words.index("--data-dir") if "--data-dir" in words else len(words)
        return self(*words[:at])

    def _invoke(self, *words: str) -> Result:
        data = str(self.made.folder / DATA)
        return CliRunner().invoke(cli, [*words, "--data-dir", data], standalone_mode=False)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A data folder in which task `a` of `wait` waits for approval; nobody serves it."""
    return Desk(unserved(tmp_path, "wait", item("a", requires_approval=True)))


@pytest.fixture
def long(tmp_path: Path) -> Desk:
    text = "x" * PAGE + "\u202e" * 3_000
    return Desk(unserved(tmp_path, "wait", item("a", requires_approval=True, description=text)))


def test_what_waits_is_listed_and_shown_as_it_is_hashed(desk: Desk) -> None:
    [row] = json.loads(desk("approvals", "list", "--json"))
    assert (row["workflow_id"], row["task_id"], row["rule"], row["risk"]) == ("wait", "a", "plan", "medium")
    assert desk("approvals", "list", "--risk", "low") == "nothing waits for approval\n"
    shown = desk("approvals", "show")
    assert f"hash {row['action_hash']}" in shown
    assert json.loads(shown.rpartition("hash ")[0]) == row["action"]
    assert "noted" in desk("approvals", "approve", "--comment", "fine")
    assert decided(desk.made) == ["approve"]


def test_of_a_long_action_every_page_must_have_been_opened(long: Desk) -> None:
    [row] = json.loads(long("approvals", "list", "--json"))
    pages = pages_of(row["action"])
    assert len(pages) > 2
    assert json.loads("".join(pages)) == row["action"]
    assert "\u202e" not in long("status", "wait")
    for number in range(1, len(pages)):
        long("approvals", "show", "--page", str(number))
    assert f"page {len(pages)} was not shown" in long.refused("approve", "wait")
    assert decided(long.made) == []
    assert "give one of them" in long.refused("approvals", "show", "--page", str(len(pages) + 1))
    long("approvals", "show", "--page", str(len(pages)))
    assert "noted" in long("approve", "wait")


def test_all_of_a_risk_are_approved_once_they_were_seen(desk: Desk) -> None:
    assert desk("approvals", "approve", "--all", "--risk", "low") == "nothing waits for approval\n"
    ended = desk.refused("approvals", "approve", "--all")
    assert "1 of 1 were not shown to you yet" in ended
    assert "--all: names everything" in desk.refused("approve", "wait", "--all")
    desk.pasted(ended.partition("look: ")[2])
    assert "noted" in desk("approvals", "approve", "--all")
    assert decided(desk.made) == ["approve"]


def test_a_rule_that_always_allows_is_proposed_and_counts_once_it_is_signed(desk: Desk) -> None:
    file = desk.made.folder / DATA / "approvals.toml"
    proposed = desk("approvals", "always")
    assert not file.exists()
    assert 'paths = ["a.py"]' in proposed
    assert "--sign" in desk.refused("approvals", "always", "--sign", "0" * 64)
    desk.pasted(proposed.partition("sign it: ")[2])
    rules = parse_policy(file.read_bytes(), "x")
    assert (rules.version, [rule.then for rule in rules.rules]) == ("1", ["allow"])
    listed = json.loads(desk("audit", "list", "--json"))
    assert listed[-1]["kind"] == "policy.signed"
    # What waits now waits still.
    assert json.loads(desk("approvals", "list", "--json")) != []


def test_a_file_of_ones_own_keeps_its_words(desk: Desk) -> None:
    file = desk.made.folder / DATA / "approvals.toml"
    file.write_text('# mine\nversion = "v9"\n\n# sql\n[[rules]]\nname = "sql"\npaths = ["migrations/"]\n')
    proposed = desk("approvals", "always")
    desk.pasted(proposed.partition("sign it: ")[2])
    text = file.read_text()
    assert text.startswith('# mine\nversion = "v10"\n')
    assert [rule.name for rule in parse_policy(text.encode(), "x").rules][1:] == ["sql"]


def test_the_policy_is_shown_with_how_often_it_asks(desk: Desk) -> None:
    assert "no rules" in desk("approvals", "policy")
    file = desk.made.folder / "rules.toml"
    file.write_text('version = "1"\n[[rules]]\nname = "all"\n')
    found = json.loads(desk("approvals", "policy", "--with", str(file), "--json"))
    assert (found["actions"], found["policy"]) == (0, None)
    file.write_text('version = 1\n[[rules]]\nname = "all"\nrisk = "grave"\nextra = 2\n')
    said = desk.refused("approvals", "policy", "--with", str(file))
    assert "version is 1" in said
    assert "rules.0.risk is 'grave'" in said or 'rules.0.risk is "grave"' in said

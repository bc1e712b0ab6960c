"""`multi-agent approvals`: long actions are read whole, rules are proposed and signed, and counted."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from multi_agent.application.approvals.pages import PAGE, pages_of
from multi_agent.application.approvals.policies import parse_policy
from tests.cli.test_approve import decided
from tests.cli.unserved import DATA, unserved
from tests.e2e.conftest import Cli
from tests.release.history import item


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A data folder in which task `a` of `wait` waits for approval; nobody serves it."""
    return unserved(tmp_path, "wait", item("a", requires_approval=True))


@pytest.fixture
def long(tmp_path: Path) -> Cli:
    text = "x" * PAGE + "\u202e" * 3_000
    return unserved(tmp_path, "wait", item("a", requires_approval=True, description=text))


def test_what_waits_is_listed_and_shown_as_it_is_hashed(cli: Cli) -> None:
    [row] = json.loads(cli("approvals", "list", "--json").stdout)
    assert (row["workflow_id"], row["task_id"], row["rule"], row["risk"]) == ("wait", "a", "plan", "medium")
    assert cli("approvals", "list", "--risk", "low").stdout == "nothing waits for approval\n"
    shown = cli("approvals", "show").stdout
    assert f"hash {row['action_hash']}" in shown
    assert json.loads(shown.rpartition("hash ")[0]) == row["action"]
    assert "noted" in cli("approvals", "approve", "--comment", "fine").stdout
    assert decided(cli) == ["approve"]


def test_of_a_long_action_every_page_must_have_been_opened(long: Cli) -> None:
    [row] = json.loads(long("approvals", "list", "--json").stdout)
    pages = pages_of(row["action"])
    assert len(pages) > 2
    assert json.loads("".join(pages)) == row["action"]
    assert "\u202e" not in long("status", "wait").stdout
    for number in range(1, len(pages)):
        long("approvals", "show", "--page", str(number))
    assert f"page {len(pages)} was not shown" in long("approve", "wait", code=2).stderr
    assert decided(long) == []
    assert "give one of them" in long("approvals", "show", "--page", str(len(pages) + 1), code=2).stderr
    long("approvals", "show", "--page", str(len(pages)))
    assert "noted" in long("approve", "wait").stdout


def test_all_of_a_risk_are_approved_once_they_were_seen(cli: Cli) -> None:
    assert cli("approvals", "approve", "--all", "--risk", "low").stdout == "nothing waits for approval\n"
    ended = cli("approvals", "approve", "--all", code=2)
    assert "1 of 1 were not shown to you yet" in ended.stderr
    assert "--all: names everything" in cli("approve", "wait", "--all", code=2).stderr
    cli(*shlex.split(ended.stderr.partition("look: ")[2])[1:])
    assert "noted" in cli("approvals", "approve", "--all").stdout
    assert decided(cli) == ["approve"]


def test_a_rule_that_always_allows_is_proposed_and_counts_once_it_is_signed(cli: Cli) -> None:
    file = cli.folder / DATA / "approvals.toml"
    proposed = cli("approvals", "always").stdout
    assert not file.exists()
    assert 'paths = ["a.py"]' in proposed
    assert "--sign" in cli("approvals", "always", "--sign", "0" * 64, code=2).stderr
    cli(*shlex.split(proposed.partition("sign it: ")[2])[1:])
    rules = parse_policy(file.read_bytes(), "x")
    assert (rules.version, [rule.then for rule in rules.rules]) == ("1", ["allow"])
    listed = json.loads(cli("audit", "list", "--json").stdout)
    assert listed[-1]["kind"] == "policy.signed"
    # What waits now waits still.
    assert json.loads(cli("approvals", "list", "--json").stdout) != []


def test_a_file_of_ones_own_keeps_its_words(cli: Cli) -> None:
    file = cli.folder / DATA / "approvals.toml"
    file.write_text('# mine\nversion = "v9"\n\n# sql\n[[rules]]\nname = "sql"\npaths = ["migrations/"]\n')
    proposed = cli("approvals", "always").stdout
    cli(*shlex.split(proposed.partition("sign it: ")[2])[1:])
    text = file.read_text()
    assert text.startswith('# mine\nversion = "v10"\n')
    assert [rule.name for rule in parse_policy(text.encode(), "x").rules][1:] == ["sql"]


def test_the_policy_is_shown_with_how_often_it_asks(cli: Cli) -> None:
    assert "no rules" in cli("approvals", "policy").stdout
    file = cli.folder / "rules.toml"
    file.write_text('version = "1"\n[[rules]]\nname = "all"\n')
    found = json.loads(cli("approvals", "policy", "--with", str(file), "--json").stdout)
    assert (found["actions"], found["policy"]) == (0, None)
    file.write_text('version = 1\n[[rules]]\nname = "all"\nrisk = "grave"\nextra = 2\n')
    said = cli("approvals", "policy", "--with", str(file), code=2).stderr
    assert "version is 1" in said
    assert "rules.0.risk is 'grave'" in said or 'rules.0.risk is "grave"' in said

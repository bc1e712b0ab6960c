"""No text from outside speaks to the terminal: every command, on a terminal, about hostile data."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from contracts.base.text import is_invisible
from multi_agent.cli import cli
from tests.cli.hostile import EVIL, HOSTILE, MARK, write_hostile_folder
from tests.cli.terminals import COLUMNS, Shown, run_on_terminal

# What the program itself sends: styles, and what moves a table that is drawn in place.
OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[AK]|\r|\n")
ARGUMENT = EVIL.replace("\r", "")
PLAN = {"todo_list_id": "p", "request": HOSTILE, "items": [{"task_id": HOSTILE, HOSTILE: 1}]}

# By command: the words of each call, its exit code, and whether it shows the hostile text (escaped).
CALLS: dict[str, list[tuple[list[str], int, bool]]] = {
    "run": [
        (["--resume", "waiting"], 3, True),
        (["--plan", "plan.json"], 2, True),
        ([ARGUMENT], 2, False),
        (["--issue", f"no{ARGUMENT}"], 2, True),
    ],
    "plan": [([ARGUMENT, "--model", ARGUMENT], 2, True)],
    "submit": [(["plan.json"], 2, True), ([f"no{ARGUMENT}"], 2, True)],
    "status": [
        ([], 0, False),
        (["--waiting"], 0, True),
        *(([name], 0, name != "dead") for name in ("done", "failed", "dead", "waiting", "asking")),
    ],
    "watch": [(["failed"], 1, True), (["waiting"], 3, True), (["asking"], 3, True)],
    "events": [([name], 0, True) for name in ("failed", "cancelled", "rejected", "asking")],
    "artifacts": [(["done"], 0, True), (["done", "--checkout", f"to{ARGUMENT}"], 0, True)],
    "diff": [(["done"], 0, True), (["done", "--stat", f"no{ARGUMENT}"], 0, False)],
    "apply": [(["done", "--repo", f"no{ARGUMENT}"], 2, True)],
    "pr": [(["done", "--repo", f"no{ARGUMENT}"], 2, True)],
    "why": [(["waiting"], 0, False), (["asking"], 0, True), ([ARGUMENT], 2, True)],
    "observe": [(["debug", "--for", ARGUMENT], 2, True), (["debug", "--workflow", ARGUMENT], 2, True)],
    "trace": [([name], 0, True) for name in ("failed", "cancelled")] + [([ARGUMENT], 2, True)],
    "verify": [([], 0, False)],
    "map": [([ARGUMENT, "--repo", f"no{ARGUMENT}"], 2, True)],
    "baseline": [(["--repo", f"no{ARGUMENT}"], 2, True)],
    "approvals list": [([], 0, False)],
    "approvals show": [(["waiting"], 0, True), (["--all"], 0, True)],
    "approvals approve": [(["waiting", "--hash", ARGUMENT], 2, True)],
    "approvals reject": [(["waiting", "--hash", ARGUMENT], 2, True)],
    "approvals always": [(["waiting", "--sign", ARGUMENT], 2, True)],
    "approvals policy": [(["--with", f"no{ARGUMENT}"], 2, True)],
    "approve": [(["waiting", "--show"], 0, True), (["waiting", "--hash", ARGUMENT], 2, True)],
    "reject": [(["waiting", "--hash", ARGUMENT], 2, True)],
    "answer": [
        (["asking", "--show"], 0, True),
        (["asking", "code", ARGUMENT, "--hash", ARGUMENT], 2, True),
        (["nothing", ARGUMENT, "x"], 2, False),
    ],
    "budget estimate": [([f"no{ARGUMENT}.json"], 2, True), ([], 0, False)],
    "budget show": [([f"x{ARGUMENT}"], 2, True)],
    "budget raise": [([f"x{ARGUMENT}", "1"], 2, True)],
    "cancel": [([f"x{ARGUMENT}"], 2, True)],
    "retry": [([f"x{ARGUMENT}"], 2, True)],
    "logs": [([], 0, True)],
    "dead-letters list": [([], 0, True)],
    "dead-letters show": [(["1"], 0, True), (["2"], 0, True)],
    "dead-letters retry": [([ARGUMENT], 2, True)],
    "dead-letters discard": [([ARGUMENT], 2, True)],
    "audit list": [([], 0, True), (["--workflow", f"x{ARGUMENT}"], 2, True)],
    "audit verify": [([], 0, False), (["plan.json"], 2, False), ([f"no{ARGUMENT}"], 2, True)],
    "audit export": [([], 0, True)],
    "up": [(["--agents", ARGUMENT], 2, True)],
    "orchestrator": [(["--orchestrator-id", ARGUMENT], 2, True)],
    "worker": [(["--worker-id", ARGUMENT], 2, True)],
    "doctor": [(["--model", ARGUMENT], 1, True)],
    "debug requests": [([], 0, True)],
    "debug slow": [([], 0, True)],
    "debug errors": [([], 0, True), (["--since", ARGUMENT], 2, True)],
    "debug session": [([ARGUMENT], 0, True), ([f"x{ARGUMENT}"], 2, True)],
    "gateway": [(["--model", ARGUMENT], 2, True), (["--map", f"a=openai:{ARGUMENT}"], 2, True)],
    "gateway-key": [
        ([ARGUMENT, "--keys", "keys.json"], 2, True),
        (["ann", "--keys", "keys.json", "--models", ARGUMENT], 0, False),
        (["ann", "--keys", f"no{ARGUMENT}", "--remove"], 2, True),
        (["--keys", f"no{ARGUMENT}", "--list"], 2, True),
    ],
    "rollout start": [([ARGUMENT], 2, True), (["trial", "--plan", f"no{ARGUMENT}"], 2, True)],
    "rollout serve": [(["--host", ARGUMENT], 2, True)],
    "rollout status": [([f"x{ARGUMENT}"], 2, True)],
    "rollout promote": [(["--reason", ARGUMENT], 2, False)],
    "rollout rollback": [(["--reason", ARGUMENT], 2, False)],
    "rollout report": [([f"x{ARGUMENT}"], 2, True)],
    "sandbox build": [(["--from", ARGUMENT], 2, True)],
    "sandbox test": [(["--probe", ARGUMENT], 2, True)],
    "environment build": [([f"no{ARGUMENT}"], 2, True)],
    "environment list": [([], 0, False)],
    "environment remove": [([ARGUMENT], 2, True)],
    "db upgrade": [(["--database-url", f"sqlite:///no{ARGUMENT}/x"], 1, False)],
    "db backup": [([f"no{ARGUMENT}/file"], 1, False)],
    "chaos": [(["--replay", ARGUMENT], 2, True)],
    "redis-acl": [(["--passwords", f"no{ARGUMENT}"], 2, True)],
    "completion": [([ARGUMENT], 2, True)],
}
JSON_CALLS = [
    ["status"],
    ["status", "failed"],
    ["events", "failed"],
    ["why", "waiting"],
    ["trace", "failed"],
    ["dead-letters", "list"],
    ["audit", "list"],
    ["audit", "verify"],
    ["dead-letters", "show", "2"],
    ["artifacts", "done"],
    ["diff", "done"],
    ["approvals", "list"],
    ["debug", "requests"],
    ["debug", "errors"],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hostile")
    write_hostile_folder(made / ".multi_agent")
    logs = made / ".multi_agent" / "logs"
    logs.mkdir()
    logged = {"event": "said", "level": "info", "text": ARGUMENT}
    (logs / "worker-1.log").write_text(json.dumps(logged) + "\n")
    (made / "plan.json").write_text(json.dumps(PLAN))
    return made


def _names(group: click.Group, prefix: str = "") -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _names(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def test_every_command_is_tried() -> None:
    assert set(_names(cli)) == set(CALLS)


def _uncovered(shown: Shown) -> set[str]:
    """What reached the terminal besides text and the program's own styles, as code points."""
    return {f"U+{ord(char):04X}" for char in OURS.sub("", shown.text) if is_invisible(char)}


@pytest.mark.parametrize(
    ("words", "code", "shows"),
    [
        pytest.param([*name.split(), *words], code, shows, id=f"{name} {number}")
        for name, calls in CALLS.items()
        for number, (words, code, shows) in enumerate(calls)
    ],
)
def test_no_command_lets_text_speak_to_the_terminal(
    folder: Path, words: list[str], code: int, shows: bool
) -> None:
    shown = run_on_terminal(folder, *words)
    assert "Traceback" not in shown.text
    assert shown.code == code, shown.text
    assert _uncovered(shown) == set()
    assert "\x1b[5m" not in shown.text
    if shows:
        assert "\\u3164" in shown.text, shown.text


@pytest.mark.parametrize("words", JSON_CALLS, ids=" ".join)
def test_json_holds_the_text_and_sends_no_control_character(folder: Path, words: list[str]) -> None:
    shown = run_on_terminal(folder, *words, "--json")
    assert (shown.code, _uncovered(shown)) == (0, set())
    lines = shown.text.splitlines() if words[0] == "events" else [shown.text]
    values = [value for line in lines for value in _texts(json.loads(line))]
    assert MARK not in shown.text or any("\u3164" in value for value in values)


def test_columns_stay_columns_with_wide_and_combining_characters(folder: Path) -> None:
    """What follows a cell begins in the same column in each row, as a terminal counts columns."""
    shown = run_on_terminal(folder, "status", "wide")
    rows = [OURS.sub("", line) for line in shown.text.split("\n") if "coder" in line]
    assert len(rows) == 3
    assert {_columns(row) for row in rows} == {COLUMNS}


def _columns(text: str) -> int:
    """How many columns text takes, by the width and the category that Unicode gives each character."""
    widths = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.combining(char) else widths.get(unicodedata.east_asian_width(char), 1)
        for char in text
    )


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)

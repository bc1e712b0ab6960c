"""What somebody meets who tries the program for the first time, where something is not as it should be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contracts.base.timestamps import local_time
from multi_agent.application.ends.summary import Summary
from multi_agent.cli import EXIT_USAGE
from multi_agent.cli.tables import Terminal
from multi_agent.cli.workflows.summary_text import summary_lines

COMMAND = (sys.executable, "-P", "-m", "multi_agent.cli")
NOWHERE = "/proc/no-such-folder"


def ran(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "LANG": "C.UTF-8", **env}
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, env=given, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    "words", [("run", "Create x"), ("up",), ("orchestrator",)], ids=lambda words: words[0]
)
def test_a_data_folder_that_cannot_be_written(folder: Path, words: tuple[str, ...]) -> None:
    ended = ran(folder, *words, "--data-dir", NOWHERE, REDIS_URL="redis://127.0.0.1:1/0")
    assert ended.returncode == EXIT_USAGE, ended.stderr
    assert ended.stderr.startswith(f"Error: the data folder {NOWHERE!r} cannot be written: ")
    assert "--data-dir or MULTI_AGENT_DATA_DIR" in ended.stderr
    assert "install" not in ended.stderr, "advice that does not help"
    assert "Traceback" not in ended.stderr


def test_doctor_names_the_folder_and_blames_nothing_else_for_it(folder: Path) -> None:
    shown = ran(folder, "doctor", "--data-dir", NOWHERE).stdout
    assert re.search(r"^MISSING +data folder +the data folder .* cannot be written", shown, re.MULTILINE)
    assert "toolbox" not in shown
    assert not re.search(r"^MISSING +sandbox", shown, re.MULTILINE)


def test_doctor_makes_no_files(folder: Path) -> None:
    shown = ran(folder, "doctor").stdout
    assert re.search(r"^ok +database +sqlite, made when needed", shown, re.MULTILINE)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "meant"), [(("runn", "x"), "run"), (("stats",), "status"), (("db", "upgade"), "upgrade")]
)
def test_a_mistyped_command_is_answered_with_the_right_one(
    folder: Path, words: tuple[str, ...], meant: str
) -> None:
    ended = ran(folder, *words)
    assert ended.returncode == EXIT_USAGE
    assert f"Did you mean '{meant}'?" in ended.stderr


def test_a_word_like_no_command_gets_no_suggestion(folder: Path) -> None:
    ended = ran(folder, "zzzzzz")
    assert (ended.returncode, "Did you mean" in ended.stderr) == (EXIT_USAGE, False)


@pytest.mark.parametrize(("term", "draws"), [("dumb", False), ("unknown", False), ("xterm", True)])
def test_a_terminal_that_cannot_draw_gets_lines(
    monkeypatch: pytest.MonkeyPatch, term: str, draws: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert Terminal().is_terminal is draws


def test_times_for_people_have_their_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert local_time(0.9) == "1970-01-01 05:30:00+05:30"
    finally:
        monkeypatch.undo()
        time.tzset()


def finished(**usage: float | None) -> Summary:
    empty = {name: None for name in Summary.__dataclass_fields__}
    values = {
        "workflow_id": "w",
        "status": "completed",
        "request": "r",
        "files": (),
        "tasks": 1,
        "attempts": 1,
    }
    nothing: dict[str, object] = {name: () for name in ("findings", "failures", "untested")}
    nothing["stand_ins"] = {}
    counts = ("planning_calls", "test_reports", "tests_passed", "tests_failed", "debug_cycles")
    numbers = {**dict.fromkeys(counts, 0), "seconds": 1.0, "model_calls": 1}
    return Summary(**{**empty, **values, **nothing, **numbers, **usage})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tokens", "cost", "shown"),
    [(0, 0.0, "$0.0000"), (10, None, "cost unknown: no prices are set"), (10, 0.5, "$0.5000")],
)
def test_a_cost_that_nobody_knows_is_not_zero(tokens: int, cost: float | None, shown: str) -> None:
    lines = summary_lines(finished(input_tokens=tokens, output_tokens=tokens, cost_usd=cost))
    assert any(line.startswith("  model") and line.endswith(shown) for line in lines)

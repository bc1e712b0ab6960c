"""`plan --check`: what is wrong with a plan, without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.conftest import Cli

TASK = {
    "task_id": "a",
    "title": "Make a",
    "agent_role": "coder",
    "description": "x",
    "output_artifacts": ["a.py"],
}


def check(tmp_path: Path, *items: Mapping[str, object], code: int) -> str:
    (tmp_path / "plan.json").write_text(
        json.dumps({"todo_list_id": "p", "request": "make a", "items": items})
    )
    ended = Cli(tmp_path)("plan", "--check", "plan.json", code=code)
    return ended.stdout + ended.stderr


def test_a_valid_plan_is_said_to_be_one(tmp_path: Path) -> None:
    assert check(tmp_path, TASK, code=0) == "plan.json: a valid plan of 1 tasks\n"


def test_a_circle_is_named(tmp_path: Path) -> None:
    assert "$.items" in check(tmp_path, {**TASK, "dependencies": ["a"]}, code=2)


def test_a_role_that_nobody_has_is_named(tmp_path: Path) -> None:
    told = check(tmp_path, {**TASK, "agent_role": "poet"}, code=2)
    assert "no agent serves the role 'poet'" in told
    assert "--agents MODULE" in told


def test_what_to_do_must_be_said(tmp_path: Path) -> None:
    assert "a REQUEST, or --check FILE" in Cli(tmp_path)("plan", code=2).stderr

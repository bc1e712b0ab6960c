"""A planted wrong test: right code comes out, the test is corrected by the request, a user's tests stay."""

from __future__ import annotations

import json
from typing import Any

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import answering, files, steps
from tests.e2e.test_steps import calls

OWN = "from hands import pair\n\n\ndef test_none():\n    assert not pair([0, 1])\n"
RIGHT = "def pair(hand):\n    return len(set(hand)) < len(hand)\n"
TEST = """\
from hands import pair


def test_two():
    assert pair([0, 0])


def test_three():
    assert {}pair([1, 2, 3])
"""
WRONG = "tests/test_pair.py::test_three"
PLAN: dict[str, Any] = {
    "todo_list_id": "hands",
    "request": "pair(hand) says whether two cards are equal",
    "items": [
        {"task_id": "code", "title": "code", "agent_role": "coder", "output_artifacts": ["hands.py"]},
        {
            "task_id": "test",
            "title": "test",
            "agent_role": "tester",
            "dependencies": ["code"],
            "output_artifacts": ["tests/test_pair.py"],
            "acceptance_criteria": {"tests": [{"cmd": "pytest tests"}]},
        },
    ],
}


def test_a_wrong_test_neither_ends_right_work_nor_bends_it(cli: Cli) -> None:
    cli.write({"plan.json": json.dumps(PLAN), "repo/hands.py": "pair = all\n", "repo/tests/test_own.py": OWN})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    prompts = cli.folder / "prompts"
    edit = calls("edit", path="hands.py", old="pair = all\n", new=RIGHT)
    contest = {"tool": "contest", "arguments": {"tests": [WRONG], "reason": "1, 2 and 3 have no pair"}}
    script = {
        "coder.step": [edit, calls("finish", summary="pairs")],
        "tester.step": steps("tested", tests__test_pair=TEST.format("")),
        "debugger.step": [{"thought": "it is wrong", "calls": [contest]}],
        "tester.CodeArtifacts": [files("no pair", tests__test_pair=TEST.format("not "))],
    }
    with answering(prompts, script):
        words = ("--plan", "plan.json", "--repo", "repo", "--model", f"manual:{prompts}")
        said = " ".join(cli("run", *words).stdout.split())
    assert "3 of 3 passed" in said
    assert "model 6 calls" in said
    debugger, amending = (
        next(prompts.glob(f"*-{purpose}-*.prompt.md")).read_text()
        for purpose in ("debugger.step", "tester.CodeArtifacts")
    )
    assert ">       assert pair([1, 2, 3])" in debugger
    assert "1, 2 and 3 have no pair" in amending
    assert "return len(set(hand))" not in amending, "who looks again is not shown the code"
    cli("artifacts", "--checkout", "out")
    assert (cli.folder / "out/hands.py").read_text() == RIGHT
    assert (cli.folder / "out/tests/test_own.py").read_text() == OWN
    assert (cli.folder / "out/tests/test_pair.py").read_text() == TEST.format("not ")

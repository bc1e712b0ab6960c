"""A run that failed gives out what there is, until a later success; what it delivers is nothing but files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Cli
from tests.e2e.person import answering, files
from tests.e2e.test_example import git

WRONG = "def higher(one, two):\n    return min(one, two)\n"
RIGHT = "def higher(one, two):\n    return max(one, two)\n"
TEST = "from hands import higher\n\n\ndef test_pair():\n    assert higher(1, 2) == 2\n"
PLAN = {
    "todo_list_id": "hands",
    "request": "Compare two hands of cards",
    "items": [
        {"task_id": "code", "title": "c", "agent_role": "coder", "output_artifacts": ["hands.py"]},
        {
            "task_id": "tests",
            "title": "t",
            "agent_role": "tester",
            "dependencies": ["code"],
            "output_artifacts": ["tests/test_hands.py"],
            "acceptance_criteria": {"tests": [{"cmd": "pytest tests/test_hands.py"}]},
            "max_cycles": 0,
        },
    ],
}


def _tests(command: str, folder: Path) -> int:
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=env, capture_output=True, check=False
    ).returncode


def _played(cli: Cli, script: dict[str, list[Any]], *words: str, code: int) -> str:
    prompts = cli.folder / "prompts"
    with answering(prompts, script):
        return cli("run", *words, "--model", f"manual:{prompts}", code=code).stdout


def _line(shown: str, name: str) -> str:
    [found] = [line[13:] for line in shown.splitlines() if line[2:12].strip() == name]
    return found


def test_a_failed_run_offers_its_work_and_a_fresh_retry_mends_it(cli: Cli) -> None:
    cli.write({"plan.json": json.dumps(PLAN)})
    script = {
        "coder.CodeArtifacts": [files("hands", hands=WRONG)],
        "tester.CodeArtifacts": [files("tests", tests__test_hands=TEST)],
    }
    shown = _played(cli, script, "--plan", "plan.json", code=1)
    [workflow] = [one["workflow_id"] for one in cli.json("status")["workflows"]]
    branch = f"ai/generated/{workflow}/unverified"
    assert _line(shown, "unverified").startswith(f"{branch} (")
    assert _line(shown, "against").startswith("tests: ")
    assert _line(shown, "try again").endswith(f"retry {workflow} --fresh")
    assert f"unverified {branch}" in cli("status", workflow).stdout
    assert [one["kind"] for one in cli.events(workflow)][-2:] == ["workflow.failed", "workflow.offered"]

    told = cli("artifacts", workflow, "--checkout", "offered").stdout
    assert branch in told
    assert "against" in told
    offered = cli.folder / "offered"
    assert git(offered, "ls-files").split() == ["hands.py", "tests/test_hands.py"]
    assert git(offered, "branch", "--show-current").strip() == branch
    assert _tests(_line(shown, "test it"), offered) == 1

    mend = {"debugger.CodeArtifacts": [files("mended", hands=RIGHT)]}
    cli("retry", workflow, "--fresh", code=None)
    shown = _played(cli, mend, "--resume", workflow, code=0)
    cli("artifacts", workflow, "--checkout", "result")
    assert _tests(_line(shown, "test it"), cli.folder / "result") == 0
    store = cli.folder / ".multi_agent" / "artifacts.git"
    names = git(store, "for-each-ref", "--format=%(refname:lstrip=5)", f"refs/heads/ai/generated/{workflow}")
    assert set(names.split()) == {"code", "tests", "tests.fix1", "tests.retest1", "result"}
    assert "unverified" not in cli("status", workflow).stdout

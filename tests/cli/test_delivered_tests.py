"""The printed test command runs the delivered tests in a plain checkout, wherever the code lies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from multi_agent.application.ends.delivered_tests import commands_for_tests
from orchestrator.client.views import WorkflowView
from orchestrator.core.state import Workflow
from tests.artifacts.builders import commit_all, git
from tests.orchestrator.plans import item, plan

CODE = "def double(n):\n    return 2 * n\n"
LAYOUTS = {
    "root": ({"double.py": CODE, "tests/test_double.py": "double"}, "python3 -m pytest tests/test_double.py"),
    "package": (
        {"pkg/__init__.py": "", "pkg/double.py": CODE, "tests/test_double.py": "pkg.double"},
        "python3 -m pytest tests/test_double.py",
    ),
    "src": (
        {"src/pkg/double.py": CODE, "tests/test_double.py": "pkg.double"},
        "PYTHONPATH=src python3 -m pytest tests/test_double.py",
    ),
}


def _view(*commands: str, **more: object) -> WorkflowView:
    criteria = {"tests": [{"cmd": command} for command in commands]}
    test = item(
        "tests", role="tester", output_artifacts=("tests/test_double.py",), acceptance_criteria=criteria
    )
    workflow = Workflow.start("w", plan(test), shard=0, now=0.0)
    return WorkflowView(workflow.header, tuple(workflow.tasks.values()))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("planned", [("pytest tests/test_double.py",), ()], ids=["named", "not named"])
def test_it_runs_in_a_plain_checkout(layout: str, planned: tuple[str, ...], tmp_path: Path) -> None:
    files, expected = LAYOUTS[layout]
    made = tmp_path / "made"
    for path, text in files.items():
        source = text if not path.startswith("tests/") else _test(text)
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(source)
    git(made, "init", "-q")
    commit_all(made)
    git(tmp_path, "clone", "-q", str(made), "checkout")
    [command] = commands_for_tests(_view(*planned), files)
    assert command == expected
    assert _run("pytest tests/test_double.py", tmp_path) != 0, "then the plan's own command could be printed"
    assert _run(command, tmp_path) == 0


def _test(module: str) -> str:
    return f"from {module} import double\n\n\ndef test_it():\n    assert double(2) == 4\n"


def _run(command: str, folder: Path) -> int:
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
    shell = ["sh", "-c", command]
    return subprocess.run(
        shell, cwd=folder / "checkout", env=env, capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize(
    ("planned", "printed"),
    [
        ("python -m pytest -k 'a or b' tests", "python3 -m pytest -k 'a or b' tests"),
        ("node --test x.test.mjs", "node --test x.test.mjs"),
        ("python check.py", "python check.py"),
    ],
)
def test_other_commands(planned: str, printed: str) -> None:
    assert commands_for_tests(_view(planned, planned), ["tests/test_double.py"]) == (printed,)

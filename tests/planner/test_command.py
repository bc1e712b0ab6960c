"""`python -m planner_service.planner`, with a planner that another distribution provides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import contracts
from contracts.base.errors import NotConfigured
from planner_service import todo_list_id
from planner_service.planner import configured_planner
from tests.planner.scripted import GOOD

ROOT = Path(contracts.__file__).parent.parent
REQUEST = "Create momentum strategy"

PROVIDER = """
import os
from contracts.base.errors import ModelUnavailable, NotConfigured
from planner_service import Planner
from tests.planner.scripted import GOOD, ScriptedModel

def planner():
    if os.environ["SAYS"] == "nothing":
        raise NotConfigured("MODEL is not set; export MODEL=...")
    says = {"good": [GOOD], "bad": ["no"] * 3, "busy": [ModelUnavailable("the model is overloaded")]}
    return Planner(ScriptedModel(*says[os.environ["SAYS"]]))
"""


@pytest.fixture
def provided(tmp_path: Path) -> Path:
    """A folder on the path with a distribution that registers a planner."""
    info = tmp_path / "site" / "provider-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: provider\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[multi_agent.services]\nplanner = provider:planner\n")
    (tmp_path / "site" / "provider.py").write_text(PROVIDER)
    return tmp_path / "site"


def run(provided: Path, says: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{provided}{os.pathsep}{ROOT}", "SAYS": says}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "planner_service.planner", *arguments],
        cwd=provided.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_documented_command_writes_a_plan_and_prints_its_path(provided: Path) -> None:
    done = run(provided, "good", REQUEST, "-o", "plans")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"plans/{todo_list_id(REQUEST)}.json\n"
    plan = json.loads((provided.parent / done.stdout.strip()).read_text())
    assert [item["task_id"] for item in plan["items"]] == [
        item["task_id"] for item in json.loads(GOOD)["items"]
    ]


@pytest.mark.parametrize(
    ("says", "arguments", "code", "reason"),
    [
        ("bad", [REQUEST], 1, "gave no valid plan in 3 answers"),
        ("busy", [REQUEST], 1, "the model is overloaded"),
        ("nothing", [REQUEST], 2, "MODEL is not set"),
        ("good", [" "], 2, "the request is empty"),
        ("good", [], 2, "Missing argument 'REQUEST'"),
        ("good", [REQUEST, "-o", "site/provider.py"], 2, "is a file"),
    ],
)
def test_exit_codes(provided: Path, says: str, arguments: list[str], code: int, reason: str) -> None:
    done = run(provided, says, *arguments)
    assert done.returncode == code
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (provided.parent / "plans").exists()


def test_without_a_provider_it_says_what_to_install() -> None:
    with pytest.raises(NotConfigured, match="install multi-agent"):
        configured_planner("nobody.services")

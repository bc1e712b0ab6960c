"""`multi-agent baseline`, as a user calls it, in a real sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli

MIXED = """
import subprocess, sys, time
import pytest

def test_ok(): pass

def test_bad(): assert 1 + 1 == 3, "arithmetic"

@pytest.mark.skip
def test_later(): pass

@pytest.fixture
def broken():
    yield
    raise RuntimeError("cannot be cleaned up")

def test_cleaned(broken): pass

def test_sessions_inside_do_not_count(tmp_path):
    (tmp_path / "test_inner.py").write_text("def test_inner(): assert 0")
    assert pytest.main([str(tmp_path)]) == 1
    assert subprocess.run([sys.executable, "-m", "pytest", str(tmp_path)]).returncode == 1
"""


QUIET = {"pytest.ini": "[pytest]\naddopts = --tb=line --no-summary\n"}
"""Their own stack traces are none of ours."""


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    folder = tmp_path / "here"
    folder.mkdir()
    return Cli(folder)


def _repository(cli: Cli, files: dict[str, str]) -> None:
    cli.write({f"repo/{name}": text for name, text in files.items()})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")


def _baseline(cli: Cli, files: dict[str, str], code: int = 0, **env: str) -> dict[str, Any]:
    _repository(cli, files)
    found: dict[str, Any] = cli.json("baseline", "--repo", "repo", code=code, **env)
    return found


def test_each_test_is_known_and_the_result_is_kept(cli: Cli) -> None:
    files = {"tests/test_mixed.py": MIXED, "tests/test_lost.py": "import nothing_like_it\n"}
    found = _baseline(cli, files | QUIET)
    keys = ("command", "state", "found", "passed", "failed", "skipped", "not_loaded", "share")
    assert [found[key] for key in keys] == ["python -m pytest", "ran", 5, 2, 2, 1, 1, 4 / 6]
    assert found["failing"] == [
        {"test": "tests/test_mixed.py::test_bad", "error": "AssertionError: arithmetic"},
        {"test": "tests/test_mixed.py::test_cleaned", "error": "RuntimeError: cannot be cleaned up"},
    ]
    [broken] = found["broken"]
    assert broken["test"] == "tests/test_lost.py"
    assert "No module named 'nothing_like_it'" in broken["error"]
    [kept] = (cli.folder / ".multi_agent" / "baselines").glob("*.json")
    kept.write_text(kept.read_text().replace("arithmetic", "what was kept"))
    said = cli("baseline", "--repo", "repo").stdout
    assert "2 passed, 2 failed, 1 skipped, 1 files not loaded; 67 % ran (python -m pytest," in said
    assert "failed      tests/test_mixed.py::test_bad: AssertionError: what was kept" in said
    kept.write_text("{")
    assert "AssertionError: arithmetic" in cli("baseline", "--repo", "repo").stdout


def test_when_time_is_up_what_ran_until_then_counts_and_nothing_is_kept(cli: Cli) -> None:
    slow = "import time\ndef test_a(): pass\ndef test_b(): time.sleep(60)\n"
    found = _baseline(cli, {"test_slow.py": slow}, MULTI_AGENT_BASELINE_SECONDS="6")
    assert (found["state"], found["found"], found["passed"], found["share"]) == ("timeout", 2, 1, 0.5)
    assert not (cli.folder / ".multi_agent" / "baselines").exists()


@pytest.mark.parametrize(
    ("files", "command", "obstacle"),
    [
        (
            {"test_a.py": "def test_a(): pass", "conftest.py": "import nothing_like_it"},
            "python -m pytest",
            "ended with exit code 4: ModuleNotFoundError: No module named 'nothing_like_it'",
        ),
        ({".multi-agent.toml": 'test = "no-such-program --all"'}, "no-such-program --all", "exit code 127"),
        ({"test_a.py": "import nothing_like_it"} | QUIET, "python -m pytest", "test_a.py cannot be loaded: "),
    ],
)
def test_tests_that_cannot_run_are_said_to_be_that(
    cli: Cli, files: dict[str, str], command: str, obstacle: str
) -> None:
    found = _baseline(cli, files, code=1)
    assert found["command"] == command
    assert obstacle in found["obstacle"]


def test_a_command_of_the_repositorys_own_is_known_by_its_end(cli: Cli) -> None:
    script = "echo so far; echo 'error: 3 of 4 wrong'; exit 3"
    files = {"check.sh": script, "pyproject.toml": '[tool.multi-agent]\ntest = "sh check.sh"\n'}
    found = _baseline(cli, files)
    assert (found["state"], found["counted"], found["exit_code"]) == ("ran", False, 3)
    assert found["summary"].startswith("exit code 3: error: 3 of 4 wrong (sh check.sh,")
    assert json.loads(json.dumps(found["tail"])).startswith("so far\n")


def test_pytest_is_known_by_its_tests_however_it_is_started(cli: Cli) -> None:
    files = {"check.sh": "python -m pytest -q\n", "test_a.py": "def test_a(): pass\ndef test_b(): assert 0\n"}
    found = _baseline(cli, {**files, ".multi-agent.toml": 'test = "sh check.sh"'})
    assert (found["counted"], found["passed"], found["failed"]) == (True, 1, 1)


def test_a_repository_without_tests_has_none(cli: Cli) -> None:
    found = _baseline(cli, {"main.py": "x = 1\n"})
    assert (found["state"], found["summary"]) == ("no_tests", "no tests found")


def test_it_can_be_turned_off(cli: Cli) -> None:
    refused = cli("baseline", code=2, MULTI_AGENT_BASELINE_SECONDS="0")
    assert "MULTI_AGENT_BASELINE_SECONDS is 0" in refused.stderr

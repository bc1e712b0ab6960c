"""How a run ends, as its user reads it: in the summary, `status`, `why` and `events`."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import COMMAND, Cli
from tests.e2e.person import answering, files, review, reviewed, steps
from tests.e2e.test_example import git

REQUEST = "Compare two hands of cards,\nand nothing else"
RIGHT = "def higher(one, two):\n    return max(one, two)\n"
WRONG = "def higher(one, two):\n    return min(one, two)\n"
TEST = "from hands import higher\n\n\ndef test_pair():\n    assert higher(1, 2) == 2\n"
FULL = "\n\ndef test_equal():\n    assert higher(2, 2) == 2\n"
FINDING = {"severity": "major", "path": "hands.py", "message": "full houses are compared wrongly"}

THE_PLACE = re.compile(r"\((?P<path>[\w./]+):(?P<line>\d+)\)")


def _plan(*, cycles: int, tester: bool = True, reviewer: bool = True) -> dict[str, Any]:
    def task(name: str, role: str, *needs: str, outputs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        return {
            "task_id": name,
            "title": name,
            "agent_role": role,
            "dependencies": needs,
            "output_artifacts": outputs,
            "max_cycles": cycles,
            **more,
        }

    criteria = {"tests": [{"cmd": "pytest tests"}]}
    items = [task("code", "coder", outputs=("hands.py",))]
    if tester:
        outputs = ("tests/test_hands.py",)
        items.append(task("tests", "tester", "code", outputs=outputs, acceptance_criteria=criteria))
    if reviewer:
        items.append(task("look", "reviewer", items[-1]["task_id"]))
    return {"todo_list_id": "hands", "request": REQUEST, "items": items}


def _run(cli: Cli, plan: dict[str, Any], code: int, script: dict[str, list[Any]], *words: str) -> list[str]:
    """The lines of the summary; data and prompts are in folders with a space."""
    cli.write({"plan.json": json.dumps(plan)})
    prompts = cli.folder / "my prompts"
    with answering(prompts, script):
        command = ["run", "--plan", "plan.json", "--model", f"manual:{prompts}", "--data-dir", "my data"]
        ended = cli(*command, *words, code=code)
    lines = ended.stdout.splitlines()
    start = next(at for at, line in enumerate(lines) if re.match(r"(Done|Failed)[:,]", line))
    return lines[start:]


def _repository(cli: Cli, contents: dict[str, str]) -> Path:
    repo = cli.folder / "my repo"
    cli.write({f"my repo/{path}": text for path, text in contents.items()})
    git(cli.folder, "init", "-q", str(repo))
    git(repo, "add", ".")
    git(repo, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "start")
    return repo


def _named(lines: list[str], name: str) -> str:
    [at] = [number for number, line in enumerate(lines) if line.split()[0] == name]
    more = takewhile(lambda line: line.startswith(" " * 13), lines[at + 1 :])
    return " ".join(line[13:] for line in (lines[at], *more))


def _told(cli: Cli, lines: list[str]) -> dict[str, str]:
    """Where a user looks, and what is said there about the end."""
    workflow = cli.json("status", "--data-dir", "my data")["workflows"][0]["workflow_id"]
    events = cli("events", "--data-dir", "my data").stdout.splitlines()
    return {
        "summary": _named(lines, "why"),
        "status": cli("status", workflow, "--data-dir", "my data").stdout.splitlines()[0],
        "why": cli("why", "--data-dir", "my data").stdout,
        "events": next(line for line in events if "workflow: failed" in line),
    }


def _paste(cli: Cli, lines: list[str]) -> None:
    """Every command of the summary works in the shell that called the program."""
    commands = [line[13:] for line in lines if line.split()[:1] in (["look"], ["check"], ["read"], ["take"])]
    assert commands
    for command in commands:
        words = shlex.split(command)
        words = [*COMMAND, *words[next(at for at, word in enumerate(words) if word in WORDS) :]]
        subprocess.run(words, cwd=cli.folder, env=cli.env, check=True, capture_output=True)


WORDS = ("events", "artifacts", "diff", "apply")


@pytest.mark.parametrize("mended", [True, False])
def test_what_a_review_does_not_approve_is_mended_or_the_run_fails(cli: Cli, mended: bool) -> None:
    good, bad = review(approved=True, summary="good"), review(approved=False, summary="no", **FINDING)
    script = {
        "coder.CodeArtifacts": [files("hands", hands=RIGHT)],
        "tester.CodeArtifacts": [files("tests", tests__test_hands=TEST)],
        "reviewer.ReviewReport": [bad, good if mended else bad],
        "debugger.CodeArtifacts": [files("mended", hands=RIGHT + "# full houses\n")],
    }
    lines = _run(cli, _plan(cycles=1), 0 if mended else 1, script)
    words = "major (hands.py): full houses are compared wrongly"
    if mended:
        assert lines[0] == "Done: Compare two hands of cards, and nothing else"
        assert _named(lines, "findings") == f"fixed: {words}"
        assert _named(lines, "tests").startswith("1 of 1 passed")
    else:
        assert lines[0].startswith("Failed: ")
        said = f"look.retest1: the review does not approve: no; {words}"
        for place, text in _told(cli, lines).items():
            assert words in text, place
        assert _named(lines, "why") == said
    _paste(cli, lines)


def test_tests_that_cannot_be_loaded_are_an_end_of_their_own(cli: Cli) -> None:
    script = {
        "coder.CodeArtifacts": [files("hands", hands="import freezegun\n\n" + RIGHT)],
        "tester.CodeArtifacts": [files("tests", tests__test_hands=TEST)],
    }
    lines = _run(cli, _plan(cycles=0, reviewer=False), 1, script)
    for place, text in _told(cli, lines).items():
        assert "the tests could not be loaded: " in text, place
        assert "ModuleNotFoundError: No module named 'freezegun'" in text, place
        found = THE_PLACE.search(text)
        assert found is not None, place
        assert found.groupdict() == {"path": "hands.py", "line": "1"}, place
    [task] = [one for one in cli.json("status", "hands", "--data-dir", "my data")["tasks"] if one["tests"]]
    assert task["error"]["code"] == "tests_not_loaded"
    assert (task["tests"]["failure"]["path"], task["tests"]["failure"]["line"]) == ("hands.py", 1)
    _paste(cli, lines)


def test_tests_that_fail_name_the_first_with_file_and_line(cli: Cli) -> None:
    script = {
        "coder.CodeArtifacts": [files("hands", hands=WRONG)],
        "tester.CodeArtifacts": [files("tests", tests__test_hands=TEST + FULL)],
    }
    lines = _run(cli, _plan(cycles=0, reviewer=False), 1, script)
    assert _named(lines, "tests").startswith("1 of 2 passed")
    for place, text in _told(cli, lines).items():
        assert "tests still fail: 1 passed, 1 failed; " in text, place
        assert "tests/test_hands.py::test_pair: assert 1 == 2" in text, place
        found = THE_PLACE.search(text)
        assert found is not None, place
        assert found.groupdict() == {"path": "tests/test_hands.py", "line": "5"}, place


def test_trouble_of_the_unchanged_base_is_said_to_be_that(cli: Cli) -> None:
    needs = {"pkg.py": "from _version import version\n", "tests/conftest.py": "import pkg\n"}
    repo = _repository(cli, needs)
    script = {
        "coder.step": steps("hands", hands=RIGHT),
        "tester.step": steps("tests", tests__test_hands=TEST),
    }
    lines = _run(cli, _plan(cycles=0, reviewer=False), 1, script, "--repo", str(repo))
    for place, text in _told(cli, lines).items():
        assert "environment: the tests of the unchanged base cannot be loaded either: " in text, place
        assert "ModuleNotFoundError: No module named '_version' (pkg.py:1)" in text, place


def test_code_without_tests_is_called_untested_and_planning_counts(cli: Cli) -> None:
    plan = _plan(cycles=0, tester=False)
    script = {
        "planner.plan": [plan, plan, plan],
        "coder.step": steps("hands", hands=RIGHT),
        "reviewer.step": reviewed(approved=True, summary="good"),
    }
    repo = _repository(cli, {"pkg.py": "x = 1\n"})
    prompts = cli.folder / "my prompts"
    with answering(prompts, script):
        options = ("--model", f"manual:{prompts}", "--data-dir", "my data", "--repo", "my repo")
        ended = cli("run", REQUEST, *options, "--plan", "full")
    lines = ended.stdout.splitlines()
    lines = lines[next(at for at, line in enumerate(lines) if line.startswith("Done")) :]
    assert lines[0] == "Done, UNTESTED: Compare two hands of cards, and nothing else"
    assert _named(lines, "untested") == "no test looked at the code of code"
    assert _named(lines, "model").startswith("6 calls (3 to plan)")
    repaired = sorted(prompts.glob("*planner.plan*.prompt.md"))[1].read_text()
    assert "writes code and no tester comes after it" in repaired
    _paste(cli, lines)
    assert (repo / "hands.py").read_text() == RIGHT

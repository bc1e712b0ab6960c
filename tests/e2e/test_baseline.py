"""A run knows what failed before it: it calls nobody wrong for that, and says what cannot run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import answering, reviewed, steps

GOOD = "def add(a, b):\n    return a + b\n"
OK = "from good import add\n\n\ndef test_ok():\n    assert add(1, 2) == 3\n"
OLD = OK + "\n\ndef test_old():\n    assert add(1, 2) == 4\n"
NEW = "from out import double\n\n\ndef test_new():\n    assert double(2) == 4\n"
OUT = "def double(x):\n    return 2 * x\n"


def _item(name: str, role: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {"task_id": name, "title": name, "agent_role": role, "dependencies": list(needs), **more}


PLAN = {
    "todo_list_id": "p",
    "request": "r",
    "items": [
        _item("code", "coder", output_artifacts=["out.py"]),
        _item(
            *("check", "tester", "code"),
            output_artifacts=["tests/test_new.py"],
            acceptance_criteria={"tests": [{"cmd": "pytest tests"}]},
        ),
        _item("look", "reviewer", "check"),
    ],
}


def _run(
    cli: Cli, repository: dict[str, str], env: dict[str, str] | None = None
) -> tuple[str, dict[str, str]]:
    """What a run prints, and the last prompt of each purpose. Its baseline was made before, unless `env`."""
    cli.write({f"repo/{name}": text for name, text in {"good.py": GOOD, **repository}.items()})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    if not env:
        cli("baseline", "--repo", "repo", code=None)
    prompts = cli.folder / "prompts"
    script = {
        "planner.plan": [PLAN],
        "coder.step": steps("made", out=OUT),
        "tester.step": steps("tested", tests__test_new=NEW),
        "reviewer.step": reviewed(approved=True, summary="good"),
    }
    with answering(prompts, script):
        words = ("--repo", "repo", "--plan", "full", "--model", f"manual:{prompts}")
        ended = cli("run", "Make x", *words, code=0, **(env or {}))
    shown = {path.name.split("-")[1]: path.read_text() for path in sorted(prompts.glob("*.prompt.md"))}
    return ended.stdout, shown


def test_a_failure_that_was_there_costs_no_debug_cycle_and_no_run(cli: Cli) -> None:
    said, prompts = _run(cli, {"tests/test_old.py": OLD})
    assert "baseline: 1 passed, 1 failed, 0 skipped; 100 % ran (python -m pytest," in said
    assert "\nDone: Make x\n" in said
    assert "  baseline   before this work: 1 passed, 1 failed, 0 skipped; 100 % ran" in said
    assert "2 of 3 passed" in said
    for purpose in ("tester.step", "reviewer.step"):
        assert "tests/test_old.py::test_old: assert 3 == 4" in prompts[purpose], purpose
    assert "Failed before" not in prompts["coder.step"]


def test_tests_that_cannot_run_are_in_the_first_line_of_the_summary(cli: Cli) -> None:
    said, _ = _run(cli, {".multi-agent.toml": 'test = "no-such-program"\n', "tests/test_old.py": OK})
    assert "baseline: the repository's tests cannot run: no-such-program ended with exit code 127" in said
    assert "\nDone, the repository's tests cannot run: Make x\n" in said
    told = "baseline before this work: the repository's tests cannot run: no-such-program ended"
    assert told in " ".join(said.split())


@pytest.mark.parametrize("seconds", ["0", "50"])
def test_a_baseline_that_is_not_there_stops_nothing(cli: Cli, seconds: str) -> None:
    repository = {".multi-agent.toml": 'test = "sleep 60"\n', "tests/test_old.py": OK}
    said, prompts = _run(cli, repository, {"MULTI_AGENT_BASELINE_SECONDS": seconds})
    assert "\nDone: Make x\n" in said
    assert "Failed before" not in prompts["reviewer.step"]
    assert "baseline: " not in said
    assert "before this work" not in said

"""An agent asks for a plan and is killed on the way: it is paid once, the workflow goes on (I2, I4)."""

from __future__ import annotations

from pathlib import Path

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import steps, write_answer
from tests.e2e.test_steps import asked, calls, kill_workers
from tests.orchestrator.plans import item, plan

OK = "def test_ok():\n    assert True\n"
PLAN = plan(
    item("code", output_artifacts=("made.py",)),
    item(
        *("look", "code"),
        role="tester",
        output_artifacts=(),
        acceptance_criteria={"tests": [{"cmd": "pytest tests"}]},
    ),
)


def test_a_plan_is_made_in_the_same_workflow_and_nothing_is_paid_twice(cli: Cli) -> None:
    cli.write({"repo/tests/test_ok.py": OK})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    prompts: Path = cli.folder / "prompts"
    process = cli.start("run", "Make it", "--repo", "repo", "--model", f"manual:{prompts}")
    wanted = calls("needs_plan", reason="two parts", found="tests are in tests/")
    for number, answer in ((1, wanted), (2, PLAN.model_dump(mode="json"))):
        prompt = asked(cli, prompts, number)
        kill_workers(cli)
        write_answer(prompt, answer)
    for number, step in enumerate(steps("made it", made="x = 1\n"), 3):
        write_answer(asked(cli, prompts, number), step)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert len(list(prompts.glob("*.prompt.md"))) == 4, "no question was asked twice"
    assert "tests are in tests/" in asked(cli, prompts, 2).read_text()
    assert "change: needs plan (reason two parts, added change.plan)" in output
    assert "change.plan: planned (added code, look)" in output
    assert "model      4 calls" in output

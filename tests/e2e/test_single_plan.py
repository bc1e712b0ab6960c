"""A small request in a repository: one agent, no planner; a check says whether it is done."""

from __future__ import annotations

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import answering, steps

WRONG = "def double(x):\n    return x\n"
NEW = "from calc import double\n\n\ndef test_double():\n    assert double(2) == 4\n"
EDIT = {"path": "calc.py", "old": "return x", "new": "return 2 * x"}


def test_a_small_request_takes_one_agent_and_a_wrong_answer_a_debugger(cli: Cli) -> None:
    cli.write({"repo/calc.py": WRONG, "repo/tests/test_ok.py": "def test_ok():\n    assert True\n"})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    prompts = cli.folder / "prompts"
    mend = {"thought": "mend", "calls": [{"tool": "edit", "arguments": EDIT}]}
    script = {
        "coder.step": steps("tested", tests__test_new=NEW),
        "debugger.step": [mend, *steps("doubled")[1:]],
    }
    with answering(prompts, script):
        ended = cli("run", "Double it", "--repo", "repo", "--model", f"manual:{prompts}")
    said = " ".join(ended.stdout.split())
    assert "Done: Double it" in said
    assert "2 of 2 passed" in said
    assert "4 tasks, 4 attempts, 1 debug cycle," in said
    assert "model 4 calls, " in said, "none to plan"
    asked = [path.read_text() for path in sorted(prompts.glob("*.prompt.md"))]
    assert "Nobody works on it beside you" in asked[0]
    assert "tests/test_new.py::test_double (failed): assert 2 == 4" in asked[2]

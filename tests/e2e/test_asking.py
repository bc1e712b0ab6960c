"""An agent asks a person: the run ends, and after the answer it goes on behind the question (I2, I4)."""

from __future__ import annotations

import json
import shlex

from tests.artifacts.builders import commit_all, git
from tests.e2e.conftest import Cli
from tests.e2e.person import write_answer
from tests.e2e.test_steps import COUNT, PLAN, asked, calls


def test_a_run_ends_with_a_question_and_goes_on_with_the_answer(cli: Cli) -> None:
    cli.write({"plan.json": json.dumps(PLAN), "repo/a.txt": "a\n"})
    git(cli.folder, "init", "-q", str(cli.folder / "repo"))
    commit_all(cli.folder / "repo")
    prompts = cli.folder / "prompts"
    model = ("--model", f"manual:{prompts}")
    process = cli.start("run", "--plan", "plan.json", "--repo", "repo", *model, "--questions", "always")
    write_answer(asked(cli, prompts, 1), calls("run", command=COUNT))
    write_answer(asked(cli, prompts, 2), calls("ask", question="How far?"))
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 3, output
    shown = [line.strip() for line in output.splitlines()]
    assert "How far?" in shown
    command = next(line.partition("  ")[2] for line in shown if line.startswith("answer "))
    again = next(line.partition("  ")[2] for line in shown if line.startswith("go on "))
    assert "noted" in cli(*shlex.split(command.replace("TEXT", "'to one'"))[1:]).stdout
    process = cli.start(*shlex.split(again)[1:])
    prompt = asked(cli, prompts, 3)
    assert "The person answers:\nto one" in prompt.read_text()
    write_answer(prompt, calls("finish", summary="counted to one"))
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    assert len(list(prompts.glob("*.prompt.md"))) == 3, "no question was asked twice"
    assert "model      3 calls" in output
    cli("artifacts", "--checkout", "out")
    assert (cli.folder / "out/counted").read_text() == "x\n"

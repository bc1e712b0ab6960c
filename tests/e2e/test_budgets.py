"""A workflow whose budget is spent waits, and goes on where it was when the budget is raised."""

from __future__ import annotations

import json
import shlex

from tests.e2e.conftest import Cli
from tests.support.model_server import ModelServer, Say

AGENTS = """
from agents import AgentResult, Task, agent

@agent(role="writer")
class Writer:
    async def run(self, task: Task) -> AgentResult:
        texts = [await task.ask(f"part {number}") for number in range(3)]
        return AgentResult(files={"out.txt": "".join(texts)}, summary="written")
"""
ITEM = {"task_id": "write", "title": "Write it", "agent_role": "writer", "output_artifacts": ["out.txt"]}
PLAN = {"todo_list_id": "plan", "request": "write it", "items": [ITEM]}
RUN = ("run", "--plan", "plan.json", "--agents", "parts", "--model", "openai:m", "--workers", "1")


def test_a_run_waits_for_its_budget_and_pays_nothing_twice(cli: Cli) -> None:
    cli.write({"plan.json": json.dumps(PLAN), "parts.py": AGENTS})
    with ModelServer([Say(text, output_tokens=500, input_tokens=0) for text in "abc"]) as server:
        cli.env |= {"OPENAI_BASE_URL": server.openai_url, "MULTI_AGENT_MAX_OUTPUT_TOKENS": "1000"}
        refused = cli(*RUN, "--budget", "0.2", code=2).stderr
        assert refused.startswith("Error: what model openai:m costs is not known, and a budget in dollars")
        cli.env |= {"MULTI_AGENT_INPUT_PRICE": "1", "MULTI_AGENT_OUTPUT_PRICE": "100"}
        waits = cli(*RUN, "--budget", "0.2", code=3).stdout
        assert len(server.requests) == 2
        shown = [line.strip() for line in waits.splitlines()]
        [said] = [line for line in shown if line.startswith("waits for budget: write: ")]
        assert "spent $0.1000 of $0.2000, next needs $0.10" in said
        again, command = (
            next(line.partition("  ")[2] for line in shown if line.startswith(word))
            for word in ("go on ", "raise ")
        )
        cli(*shlex.split(command)[1:])
        done = cli(*shlex.split(again)[1:]).stdout
    assert len(server.requests) == 3
    assert "budget     spent $0.1500 of $0.2100" in done

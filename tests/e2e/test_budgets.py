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
PRICES = {"MULTI_AGENT_INPUT_PRICE": "1", "MULTI_AGENT_OUTPUT_PRICE": "100"}


def test_a_run_waits_for_its_budget_and_pays_nothing_twice(cli: Cli) -> None:
    cli.write({"plan.json": json.dumps(PLAN), "parts.py": AGENTS})
    with ModelServer([Say(text, output_tokens=500, input_tokens=0) for text in "abc"]) as server:
        cli.env |= {"OPENAI_BASE_URL": server.openai_url, "MULTI_AGENT_MAX_OUTPUT_TOKENS": "1000"}
        words = ("run", "--plan", "plan.json", "--agents", "parts", "--model", "openai:m", "--budget", "0.2")
        refused = cli(*words, code=2).stderr
        assert refused.startswith("Error: what model openai:m costs is not known, and a budget in dollars")
        assert not server.requests
        cli.env |= PRICES
        waits = cli(*words, code=3).stdout
        assert len(server.requests) == 2
        shown = [line.strip() for line in waits.splitlines()]
        [said] = [line for line in shown if line.startswith("waits for budget: write: ")]
        assert "spent $0.1000 of $0.2000, next needs $0.10" in said
        again = next(line.partition("  ")[2] for line in shown if line.startswith("go on "))
        command = next(line.partition("  ")[2] for line in shown if line.startswith("raise "))
        state = cli.json("budget", "show")
        assert (state["spent_usd"], state["limit_usd"], state["waiting"]) == (0.1, 0.2, ["write"])
        assert [one["code"] for one in cli.json("why", MULTI_AGENT_LEASE_SECONDS="1.5")["reasons"]][
            -1
        ] == "budget"
        cli(*shlex.split(command.replace("USD", "0.3"))[1:])
        done = cli(*shlex.split(again)[1:]).stdout
    assert len(server.requests) == 3
    assert "budget     spent $0.1500 of $0.3000" in done
    cli("artifacts", "--checkout", "out")
    assert (cli.folder / "out/out.txt").read_text() == "abc"

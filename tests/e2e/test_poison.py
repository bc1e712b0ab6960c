"""A task that kills its worker, beside one that does nothing wrong (I7)."""

from __future__ import annotations

import json

from tests.e2e.conftest import Cli

AGENTS = """
import asyncio, os, pathlib, signal
from agents import AgentResult, Task, agent

async def exists(name: str) -> None:
    while not pathlib.Path(name).exists():
        await asyncio.sleep(0.01)

@agent(role="strange")
class Strange:
    async def run(self, task: Task) -> AgentResult:
        name = task.item.task_id
        with open(f"{name}.starts", "a") as log:
            log.write("x")
        if name == "poison":
            await exists("innocent.starts")
            pathlib.Path("about-to-die").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "innocent":
            await exists("about-to-die")
        return AgentResult(files={}, summary="done")
"""
NEEDS: dict[str, list[str]] = {
    "poison": [],
    "innocent": [],
    "needs_poison": ["poison"],
    "needs_innocent": ["innocent"],
}
PLAN = {
    "todo_list_id": "poisoned",
    "request": "four steps",
    "items": [
        {"task_id": name, "title": name, "agent_role": "strange", "dependencies": needs, "max_retries": 0}
        for name, needs in NEEDS.items()
    ],
}


def test_i7_poison_is_given_up_after_three_deaths_alone_and_hurts_nobody_else(cli: Cli) -> None:
    cli.write({"strange_agents.py": AGENTS, "plan.json": json.dumps(PLAN)})
    cli.env |= {"MULTI_AGENT_WORKERS": "1", "MULTI_AGENT_SLOTS": "2"}
    output = cli("run", "--plan", "plan.json", "--agents", "strange_agents", "--json", code=1).stdout
    workflow = json.loads(output[output.index("{\n") :])["workflow_id"]
    tasks = {task["task_id"]: task for task in cli.json("status", workflow)["tasks"]}
    assert {name: (task["status"], task["crashes"]) for name, task in tasks.items()} == {
        "poison": ("dead_lettered", 3),
        "innocent": ("succeeded", 0),
        "needs_poison": ("blocked", 0),
        "needs_innocent": ("succeeded", 0),
    }
    starts = {name: len((cli.folder / f"{name}.starts").read_text()) for name in ("poison", "innocent")}
    assert starts == {"poison": 3, "innocent": 1}, "each has a process of its own"

    [letter] = cli.json("dead-letters", "list")
    number = str(letter["dead_letter_id"])
    assert (letter["workflow_id"], letter["task_id"]) == (workflow, "poison")
    assert f"dead-letters show {number}" in cli("status", workflow).stdout
    shown = cli("dead-letters", "show", number).stdout
    assert "3 workers died" in shown
    assert '"task_id":"poison"' in shown
    assert "task_taken" in shown, "the worker's log"
    assert "no dead letter 99" in cli("dead-letters", "show", "99", code=2).stderr

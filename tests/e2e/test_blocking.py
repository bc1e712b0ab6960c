"""Agents that block do not stop `up`: their deadlines end them, and the others' work goes on."""

from __future__ import annotations

import json
import signal
from collections import Counter

from tests.e2e.conftest import Cli

AGENTS = """
import asyncio, time
from agents import AgentResult, Task, agent

@agent(role="odd")
class Odd:
    async def run(self, task: Task) -> AgentResult:
        with open("started.txt", "a") as log:
            log.write(task.item.title + "\\n")
        if task.item.title.startswith("blocks"):
            time.sleep(600)
        if task.item.title.startswith("swallows"):
            while True:
                try:
                    await asyncio.sleep(600)
                except asyncio.CancelledError:
                    pass
        return AgentResult(files={}, summary="done")
"""


def plan(name: str, *titles: str, seconds: int) -> str:
    items = [
        {
            "task_id": f"t{number}",
            "title": title,
            "agent_role": "odd",
            "timeout_seconds": seconds,
            "max_retries": 0,
        }
        for number, title in enumerate(titles)
    ]
    return json.dumps({"todo_list_id": name, "request": "odd steps", "items": items})


def statuses(cli: Cli, workflow: str) -> dict[str, str]:
    return {task["title"]: task["status"] for task in cli.json("status", workflow)["tasks"]}


def test_up_with_agents_that_block_goes_on_working(cli: Cli) -> None:
    stuck = ("blocks 1", "blocks 2", "swallows")
    files = {
        "odd_agents.py": AGENTS,
        "stuck.json": plan("stuck", *stuck, seconds=3),
        "forever.json": plan("forever", "blocks 3", "blocks 4", seconds=600),
        "good.json": plan("good", *(f"good {number}" for number in range(6)), seconds=60),
    }
    cli.write(files)
    cli.env |= {"MULTI_AGENT_WORKERS": "1", "MULTI_AGENT_SLOTS": "2"}
    served = cli.start("up", "--agents", "odd_agents")
    cli.until(lambda: cli("status", code=None).returncode == 0, "served")
    workflows = {name: cli.json("submit", f"{name}.json")["workflow_id"] for name in ("stuck", "good")}
    cli.until(lambda: set(statuses(cli, workflows["good"]).values()) == {"succeeded"}, "the good work")
    cli.until(lambda: set(statuses(cli, workflows["stuck"]).values()) == {"failed"}, "their deadlines")
    counts = {task["title"]: task["crashes"] for task in cli.json("status", workflows["stuck"])["tasks"]}
    assert counts == dict.fromkeys(stuck, 0)

    forever = cli.json("submit", "forever.json")["workflow_id"]
    started = cli.folder / "started.txt"
    cli.until(lambda: {"blocks 3", "blocks 4"} <= set(started.read_text().splitlines()), "both slots block")
    cli("cancel", forever)
    again = cli.json("submit", "good.json")["workflow_id"]
    cli.until(lambda: set(statuses(cli, again).values()) == {"succeeded"}, "slots that a cancel set free", 20)
    assert max(Counter(started.read_text().splitlines()).values()) <= 2
    served.send_signal(signal.SIGTERM)
    assert served.wait(30) == 0

"""A data folder on a disk that is full for a while: the work waits, nothing dies, nothing is lost (I1)."""

from __future__ import annotations

import json
import time
from pathlib import Path

from contracts.documents.todo_list import TodoItem, TodoList
from multi_agent.chaos.agents import ROLE, Orders
from tests.e2e.conftest import Cli, cli
from tests.support.small_disk import fill, small_disk

__all__ = ["cli"]

FULL_SECONDS = 8.0


def slow_chain() -> TodoList:
    items = [
        TodoItem(
            task_id=f"t{number}",
            title="t",
            description=Orders(milliseconds=1_000).model_dump_json(),
            agent_role=ROLE,
            dependencies=(f"t{number - 1}",) if number else (),
            output_artifacts=(f"t{number}.txt",),
        )
        for number in range(3)
    ]
    return TodoList(todo_list_id="full", request="a full disk", items=tuple(items))


def test_work_waits_for_room_on_the_disk(cli: Cli) -> None:
    data = cli.folder / "disk"
    with small_disk(data, 32):
        cli.write({"plan.json": slow_chain().model_dump_json()})
        up = cli.start("up", "--agents", "multi_agent.chaos.agents", "--data-dir", str(data))
        cli.until((data / "stack.lock").exists, "the stack")
        cli("submit", "plan.json", "--data-dir", str(data))
        workflow = str(cli.json("status", "--data-dir", str(data))["workflows"][0]["workflow_id"])
        ran = lambda: any(one["kind"] == "task.dispatched" for one in events(cli, workflow, data))  # noqa: E731
        cli.until(ran, "the first task runs")
        fill(data / "filler")
        time.sleep(FULL_SECONDS)
        assert up.poll() is None
        assert set(states(cli, workflow, data)) <= {"succeeded", "dispatched", "ready", "waiting"}
        (data / "filler").unlink()
        cli.until(lambda: set(states(cli, workflow, data)) == {"succeeded"}, "the work goes on")
        failures = [task["failures"] for task in tasks(cli, workflow, data).values()]
        assert failures == [0, 0, 0], events(cli, workflow, data)
        assert "process_died" not in "".join(log.read_text() for log in (data / "logs").glob("*.log"))
        up.terminate()
        assert up.stdout is not None
        assert "process_died" not in up.stdout.read()


def events(cli: Cli, workflow: str, data: Path) -> list[dict[str, object]]:
    lines = cli("events", workflow, "--json", "--data-dir", str(data)).stdout.splitlines()
    return [json.loads(line) for line in lines]


def tasks(cli: Cli, workflow: str, data: Path) -> dict[str, dict[str, object]]:
    return {task["task_id"]: task for task in cli.json("status", workflow, "--data-dir", str(data))["tasks"]}


def states(cli: Cli, workflow: str, data: Path) -> list[object]:
    return [task["status"] for task in tasks(cli, workflow, data).values()]

"""kill -9 in the middle of a task: `run` still ends well, and nothing is done twice (I1, I2, I4)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

from tests.e2e.conftest import Cli, left_behind

AGENTS = """
import asyncio, pathlib
from agents import AgentResult, Task, agent

@agent(role="slow")
class Slow:
    async def run(self, task: Task) -> AgentResult:
        with open("started.txt", "a") as log:
            log.write(task.item.task_id + "\\n")
        while task.item.task_id == "b" and not pathlib.Path("go").exists():
            await asyncio.sleep(0.05)
        return AgentResult(files={task.item.output_artifacts[0]: task.item.task_id}, summary="done")
"""


def slow_plan(**more: object) -> str:
    items: list[dict[str, object]] = [
        {
            "task_id": name,
            "title": name,
            "agent_role": "slow",
            "dependencies": needs,
            "output_artifacts": [f"{name}.txt"],
        }
        for name, needs in (("a", []), ("b", ["a"]), ("c", ["b"]))
    ]
    items[1] |= more
    return json.dumps({"todo_list_id": "slow", "request": "three steps", "items": items})


def prepared(cli: Cli, **more: object) -> Cli:
    cli.write({"slow_agents.py": AGENTS, "slow.json": slow_plan(**more)})
    return cli


def starts(cli: Cli) -> list[str]:
    path = cli.folder / "started.txt"
    return path.read_text().split() if path.exists() else []


def run_until_b(cli: Cli) -> subprocess.Popen[str]:
    process = cli.start("run", "--plan", "slow.json", "--agents", "slow_agents", "--json")
    cli.until(lambda: "b" in starts(cli), "task b started")
    return process


def processes(cli: Cli, word: str) -> list[int]:
    """Process ids of our own processes whose command line holds `word`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if word.encode() in words and str(cli.folder).encode() in environment:
                found.append(int(entry.name))
    return found


def finish(cli: Cli, process: subprocess.Popen[str]) -> dict[str, object]:
    (cli.folder / "go").touch()
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 0, output
    summary: dict[str, object] = json.loads(output[output.index("{\n") :])
    done = Counter(entry["task_id"] for entry in cli.events() if entry["kind"] == "task.succeeded")
    assert done == {"a": 1, "b": 1, "c": 1}
    return summary


def holder_of(cli: Cli) -> list[int]:
    return processes(cli, "worker")


def test_a_killed_workers_task_runs_again_elsewhere(cli: Cli) -> None:
    process = run_until_b(prepared(cli))
    for pid in holder_of(cli):
        os.kill(pid, signal.SIGKILL)
    cli.until(lambda: starts(cli).count("b") == 2, "task b started again")
    finish(cli, process)
    assert Counter(starts(cli)) == {"a": 1, "b": 2, "c": 1}


def test_a_killed_orchestrator_goes_on_and_the_task_is_not_run_again(cli: Cli) -> None:
    process = run_until_b(prepared(cli))
    [pid] = processes(cli, "orchestrator")
    os.kill(pid, signal.SIGKILL)
    cli.until(lambda: processes(cli, "orchestrator") not in ([], [pid]), "another orchestrator")
    finish(cli, process)
    assert Counter(starts(cli)) == {"a": 1, "b": 1, "c": 1}


def test_a_killed_redis_and_everything_else_at_once_then_resumed(cli: Cli) -> None:
    process = run_until_b(prepared(cli))
    process.kill()
    process.wait()
    cli.until(lambda: not left_behind(cli.folder), "everything ends with its parent", 20)
    (cli.folder / "go").touch()
    summary = cli.json("run", "--resume", "slow", "--agents", "slow_agents")
    assert summary["status"] == "completed"
    assert Counter(starts(cli)) == {"a": 1, "b": 2, "c": 1}


def test_ctrl_c_stops_everything_and_says_how_to_go_on(cli: Cli) -> None:
    process = run_until_b(prepared(cli))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 130
    assert "multi-agent run --resume slow-" in output
    assert left_behind(cli.folder) == []
    (cli.folder / "go").touch()
    assert cli.json("run", "--resume", "slow", "--agents", "slow_agents")["status"] == "completed"


def test_a_task_that_waits_for_a_person_ends_the_run_with_three(cli: Cli) -> None:
    prepared(cli, requires_approval=True)
    (cli.folder / "go").touch()
    shown = cli("run", "--plan", "slow.json", "--agents", "slow_agents", code=3).stdout
    assert "waiting for approval: b" in shown
    assert "hash " in cli("approve", "slow", "--show").stdout
    assert "hashes to" in cli("approve", "slow", "b", "--hash", "0" * 64, code=2).stderr
    assert "noted" in cli("approve", "slow", "b").stdout
    assert cli.json("run", "--resume", "slow", "--agents", "slow_agents")["status"] == "completed"
    kinds = [entry["kind"] for entry in cli.events()]
    assert kinds.count("task.approved") == 1


def test_a_retry_asked_for_while_nothing_runs_is_taken_up_by_resume(cli: Cli) -> None:
    prepared(cli, timeout_seconds=1, max_retries=0)
    cli("run", "--plan", "slow.json", "--agents", "slow_agents", code=1)
    (cli.folder / "go").touch()
    assert "noted" in cli("retry", "slow").stdout
    assert cli.json("run", "--resume", "slow", "--agents", "slow_agents")["status"] == "completed"


def test_a_killed_private_redis_is_started_again(cli: Cli) -> None:
    process = run_until_b(prepared(cli))
    [pid] = redis_servers(cli)
    os.kill(pid, signal.SIGKILL)
    cli.until(lambda: redis_servers(cli) not in ([], [pid]), "another Redis")
    finish(cli, process)
    assert Counter(starts(cli)) == {"a": 1, "b": 1, "c": 1}


def redis_servers(cli: Cli) -> list[int]:
    """Process ids of Redis servers whose log lies in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                log = str((entry / "fd" / "1").readlink())
            except OSError:
                continue
            if log == str(cli.folder / ".multi_agent" / "logs" / "redis.log"):
                found.append(int(entry.name))
    return found


def test_rejecting_cancelling_and_retrying(cli: Cli) -> None:
    prepared(cli, requires_approval=True)
    (cli.folder / "go").touch()
    serving = cli.start("up", "--agents", "slow_agents")
    cli.until((cli.folder / ".multi_agent" / "state.db").exists, "the database")
    name = cli("submit", "slow.json").stdout.strip()

    cli("watch", name, code=3)
    assert cli("reject", name, "--reason", "too slow").stdout.startswith("done: ")
    cli("watch", name, code=1)
    assert "too slow" in cli("status", name).stdout
    assert "rejected by a person, which is final" in cli("retry", name, code=2).stderr
    name = cli("submit", "slow.json").stdout.strip()
    cli("watch", name, code=3)
    assert cli("cancel", name).stdout.startswith("done: ")
    assert cli.json("status", name)["status"] == "cancelled"
    assert "already cancelled" in cli("cancel", name, code=2).stderr
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(30) == 0

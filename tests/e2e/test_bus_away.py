"""Redis away, or wrong from the start: whoever looks is told, once, and nothing else is claimed."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import COMMAND, Cli
from tests.support.redis_servers import PrivateRedis

PLAN = {
    "todo_list_id": "nobodys",
    "request": "wait",
    "items": [
        {
            "task_id": "a",
            "title": "Wait",
            "agent_role": "nobody",
            "description": "x",
            "output_artifacts": ["a.txt"],
        }
    ],
}
REQUEST = "Create a simple SMA crossover strategy"


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    started = PrivateRedis().start()
    yield started
    started.stop()


def start(cli: Cli, *words: str, **env: str) -> Path:
    """Start in the background; the file has what it prints."""
    shown = cli.folder / f"{words[0]}.txt"
    with shown.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, *words],
            cwd=cli.folder,
            env={**cli.env, **env},
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    cli.started.append(process)
    return shown


@pytest.mark.parametrize("words", [["run", REQUEST], ["up"]], ids=["run", "up"])
def test_a_wrong_one_at_the_start_ends_the_command(cli: Cli, words: list[str]) -> None:
    ended = cli(*words, code=1, REDIS_URL="redis://127.0.0.1:1/0")
    assert ended.stderr.startswith("Error: Redis at 127.0.0.1:1: ")
    assert ended.stderr.endswith("; REDIS_URL names it\n")
    assert "planning" not in ended.stdout + ended.stderr
    assert not (cli.folder / ".multi_agent" / "state.db").exists()


def test_an_outage_is_told_once_by_everybody_and_so_is_its_end(cli: Cli, server: PrivateRedis) -> None:
    url = server.url
    up = start(cli, "up", REDIS_URL=url)
    cli.until(lambda: "ready" in up.read_text(), "up", 90)
    cli.write({"plan.json": json.dumps(PLAN)})
    cli("submit", "plan.json", REDIS_URL=url)
    watch = start(cli, "watch", REDIS_URL=url)
    cli.until(lambda: "submitted" in watch.read_text(), "watch")
    server.kill()
    for shown in (up, watch):
        cli.until(lambda shown=shown: "waits for Redis at " in shown.read_text(), "told", 20)  # type: ignore[misc]
    logs = cli.folder / ".multi_agent" / "logs"
    sources = ("orchestrator", "worker-1", "worker-2")
    for name in sources:
        log = logs / f"{name}.log"
        cli.until(lambda log=log: "waiting_for_bus" in log.read_text(), f"{name} logs it", 20)  # type: ignore[misc]
    time.sleep(3)
    server.start()
    for shown in (up, watch):
        cli.until(lambda shown=shown: "goes on after " in shown.read_text(), "told the end", 20)  # type: ignore[misc]
    assert up.read_text().count("waits for Redis") == watch.read_text().count("waits for Redis") == 1
    for name in sources:
        lines = [json.loads(line) for line in (logs / f"{name}.log").read_text().splitlines()]
        told = Counter(str(line.get("worker_id")) for line in lines if line["event"] == "waiting_for_bus")
        assert set(told.values()) == {1}, told
    cli.started[0].terminate()
    cli.until(lambda: "nothing serves this folder" in watch.read_text(), "nobody serves", 40)

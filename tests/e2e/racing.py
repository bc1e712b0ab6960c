"""Many workers on one budget, some of them killed: what a service bills is never more than the budget.

python -m tests.e2e.racing --workers 10 --slots 5 --kills 20
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from multi_agent.runtime.forking.process_tree import children_of
from tests.e2e.conftest import Cli
from tests.support.model_server import ModelServer, Received, Say

AGENTS = """
from agents import AgentResult, Task, agent

@agent(role="writer")
class Writer:
    async def run(self, task: Task) -> AgentResult:
        texts = [await task.ask(f"{task.item.task_id}, part {number}") for number in range(4)]
        return AgentResult(files={f"{task.item.task_id}.txt": "".join(texts)}, summary="written")
"""
TASKS = 50
OUTPUT_PRICE = 100.0
MOST_OUTPUT = 1_000


class Service:
    """Bills every request that reaches it, answered or not."""

    def __init__(self, seed: int) -> None:
        self._choice, self._lock = random.Random(seed), threading.Lock()
        self.billed: list[int] = []
        """Tokens."""

    def __call__(self, received: Received) -> Say:
        with self._lock:
            tokens = self._choice.randint(1, MOST_OUTPUT)
            self.billed.append(tokens)
        time.sleep(0.2)
        return Say(f"{tokens} ", input_tokens=0, output_tokens=tokens)

    @property
    def usd(self) -> float:
        return sum(self.billed) * OUTPUT_PRICE / 1_000_000


def workers_below(pid: int) -> Iterator[int]:
    """The processes of workers below a run: keepers, fork servers and slot processes."""
    level = {pid}
    while level := children_of(level):
        for one in level:
            with suppress(OSError):
                if b"worker" in Path(f"/proc/{one}/cmdline").read_bytes():
                    yield one


def race(options: argparse.Namespace, folder: Path) -> bool:
    """Run until it has ended or waits; True when nothing was overspent."""
    cli, service = Cli(folder), Service(options.seed)
    names = [f"t{number}" for number in range(TASKS)]
    items = [
        {"task_id": name, "title": name, "agent_role": "writer", "output_artifacts": [f"{name}.txt"]}
        for name in names
    ]
    plan = {"todo_list_id": "race", "request": "write all", "items": items}
    cli.write({"plan.json": json.dumps(plan), "parts.py": AGENTS})
    choice, killed = random.Random(options.seed), 0
    with ModelServer(service) as server:
        cli.env |= {
            "OPENAI_BASE_URL": server.openai_url,
            "MULTI_AGENT_SANDBOX_WARM": "0",
            "MULTI_AGENT_MAX_OUTPUT_TOKENS": str(MOST_OUTPUT),
            "MULTI_AGENT_INPUT_PRICE": "0",
            "MULTI_AGENT_OUTPUT_PRICE": str(OUTPUT_PRICE),
        }
        words = ("--workers", str(options.workers), "--budget", str(options.budget))
        cli.env["MULTI_AGENT_SLOTS"] = str(options.slots)
        run = cli.start("run", "--plan", "plan.json", "--agents", "parts", "--model", "openai:m", *words)
        reader = threading.Thread(target=run.communicate, daemon=True)
        reader.start()
        while run.poll() is None:
            time.sleep(0.3)
            if killed < options.kills and service.billed:
                with suppress(OSError, IndexError):
                    os.kill(choice.choice(sorted(workers_below(run.pid))), signal.SIGKILL)
                    killed += 1
        reader.join()
        state = cli.json("budget", "show")
    booked: float = state["spent_usd"]
    limit: float = state["limit_usd"]
    aside: float = state["reserved_usd"]
    over = max(0.0, service.usd - limit)
    print(
        f"seed {options.seed}: exit {run.returncode}, {len(service.billed)} requests, {killed} kills, "
        f"billed ${service.usd:.4f}, booked ${booked:.4f} of ${limit:.4f}, overspent ${over:.4f}, "
        f"{len(state['waiting'])} tasks wait"
    )
    return over == 0 and service.usd <= booked + aside + 1e-9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("workers", 10), ("slots", 5), ("kills", 20), ("seed", 0), ("times", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--budget", type=float, default=6.0, help="USD; all of it would be about 10")
    options = parser.parse_args()
    good = True
    for _ in range(options.times):
        with tempfile.TemporaryDirectory() as folder:
            good &= race(options, Path(folder))
        options.seed += 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

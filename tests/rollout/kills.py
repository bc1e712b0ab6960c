"""Requests through the splitter while what serves them is killed: each is answered once, by its key's arm.

`python -m tests.rollout.kills --requests 200` prints one line of JSON. The arms are the loop of a legacy
agent in a real sandbox and the whole system over Redis and PostgreSQL; models answer by a script, so that it
is known which requests an arm passes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from contracts.base.printing import print_line
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.ports.model import ModelRequest, ModelResponse
from multi_agent.application.rollouts.arm import WorkflowAnswer, WorkflowArm
from multi_agent.application.rollouts.changes import start_rollout
from multi_agent.application.rollouts.desk import RolloutDesk
from multi_agent.application.rollouts.standing import standing_of
from multi_agent.bootstrap import choose_sandbox, make_artifacts, sandbox_settings
from multi_agent.chaos.agents import QUESTIONS, ROLE, Orders
from multi_agent.chaos.scratch_system import ScratchSettings, ScratchSystem
from multi_agent.rollout import TrafficSplitter
from multi_agent.rollout.assignment import assigned, key_hash
from multi_agent.rollout.legacy_loop import LegacyLoop
from multi_agent.rollout.link import RolloutLink
from multi_agent.rollout.plan import RolloutPlan
from multi_agent.runtime.rollouts.port import listening
from orchestrator.client.rollouts import RolloutStore
from tests.rollout.days import ANN

PASSES = {"legacy": 0.85, "multi_agent": 0.90}
"""Share of requests that each arm's model passes."""
KILLS = ("worker", "orchestrator", "database")
_GOOD = "def test_it():\n    assert True\n"
_BAD = "def test_it():\n    assert False\n"


def passes(arm: str, request: str) -> bool:
    """Whether an arm's model passes a request."""
    return int(sha256(f"{arm} {request}".encode()).hexdigest()[:8], 16) / 2**32 < PASSES[arm]


class ScriptedModel:
    """Answers the legacy loop: with tests that pass, or with ones that never do."""

    name = "scripted"

    async def complete(self, request: ModelRequest) -> ModelResponse:
        good = passes("legacy", request.messages[0].text)
        files = {"files": [{"path": "test_it.py", "content": _GOOD if good else _BAD}]}
        return ModelResponse(json.dumps(files), "scripted", cost_usd=0.001)

    async def close(self) -> None: ...


class ScriptedPlans:
    """Two tasks for each request, the second of which fails for good where the request does not pass."""

    def __init__(self) -> None:
        self.count = 0

    async def plan(self, request: str) -> TodoList:
        self.count += 1
        first = Orders(milliseconds=200, ask=self.count % len(QUESTIONS))
        second = Orders(fails=0 if passes("multi_agent", request) else 99)
        items = (_item("write", first, ()), _item("check", second, ("write",)))
        return TodoList(todo_list_id=f"plan-{self.count}", request=request, items=items)


def _item(name: str, orders: Orders, needs: tuple[str, ...]) -> TodoItem:
    return TodoItem(
        task_id=name,
        title=name,
        description=orders.model_dump_json(),
        agent_role=ROLE,
        dependencies=needs,
        output_artifacts=(f"{name}.txt",),
        max_retries=1,
    )


@dataclass
class Found:
    """What became of the requests."""

    requests: int
    answered: Counter[str] = field(default_factory=Counter)
    """By request."""
    by_their_arm: int = 0
    as_scripted: int = 0
    recorded: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    workflows: int = 0
    """That the arm began."""
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        once = sum(count == 1 for count in self.answered.values())
        return {
            "requests": self.requests,
            "answered_once": once,
            "by_their_arm": self.by_their_arm,
            "as_scripted": self.as_scripted,
            "recorded": self.recorded,
            "workflows": self.workflows,
            "kills": dict(self.kills),
            "seconds": round(self.seconds, 1),
        }


async def race(folder: Path, requests: int, kills: Sequence[str], seed: int = 1) -> Found:
    """Send the requests, sixteen at a time, and kill these one after the other meanwhile."""
    begun, found = time.monotonic(), Found(requests)
    wanted = ScratchSettings(folder, postgres=True, workers=2, slots=4, search_path=os.environ["PATH"])
    world = await ScratchSystem.start(wanted)
    try:
        async with splitting(world) as (splitter, link, plans, store):
            killing = asyncio.create_task(_kill(world, kills, random.Random(seed), found))
            room = asyncio.Semaphore(16)
            await asyncio.gather(
                *(_ask(splitter, link, room, number, found) for number in range(requests)), killing
            )
            await asyncio.to_thread(_wait_until_sent, link)
            figures = (await standing_of(store, None, time.time())).figures
            found.recorded = figures.legacy.ended + figures.multi_agent.ended
            found.workflows = plans.count
    finally:
        await world.close()
    found.seconds = time.monotonic() - begun
    return found


@asynccontextmanager
async def splitting(
    world: ScratchSystem,
) -> AsyncIterator[tuple[TrafficSplitter, RolloutLink, ScriptedPlans, RolloutStore]]:
    """A splitter at 50 % over a scratch system."""
    store = RolloutStore(world.database)
    plan = RolloutPlan.model_validate(
        {"stages": [{"percent": 50, "hours": 1}, {"percent": 100, "hours": 1}], "automatic": False}
    )
    await start_rollout(store, "kills", plan, ANN, time.time())
    desk, plans = RolloutDesk(store), ScriptedPlans()
    await desk.look()
    running = asyncio.create_task(desk.run())
    artifacts = make_artifacts(world.settings)
    sandbox = await choose_sandbox(sandbox_settings(world.settings))
    with listening(desk, "127.0.0.1", 0) as url:
        link = await asyncio.to_thread(RolloutLink, url)
        splitter = TrafficSplitter(
            legacy=LegacyLoop(ScriptedModel(), sandbox).run,
            multi_agent=WorkflowArm(world.client, plans, artifacts, world.settings.artifacts).run,
            flags=link,
            recorder=link,
        )
        try:
            yield splitter, link, plans, store
        finally:
            await asyncio.to_thread(link.close)
            running.cancel()
            await sandbox.close()
            await artifacts.close()


async def _ask(
    splitter: TrafficSplitter, link: RolloutLink, room: asyncio.Semaphore, number: int, found: Found
) -> None:
    request, key = f"request {number}", f"key {number}"
    flag = link.flag()
    arm = assigned(flag, key_hash(flag.rollout, key))
    async with room:
        value = await splitter.acall(request, key=key, request_id=request)
    found.answered[request] += 1
    ours = isinstance(value, WorkflowAnswer)
    found.by_their_arm += ours == (arm == "multi_agent")
    passed = value.summary.status == "completed" if ours else _GOOD in value.values()
    found.as_scripted += passed == passes("multi_agent" if ours else "legacy", request)


async def _kill(world: ScratchSystem, kills: Sequence[str], chance: random.Random, found: Found) -> None:
    for what in kills:
        await asyncio.sleep(1.0 + chance.random())
        found.kills[what] += 1
        if what == "database":
            assert world.postgres is not None
            await asyncio.to_thread(world.postgres.kill)
            await asyncio.sleep(chance.random())
            await asyncio.to_thread(world.postgres.start)
        else:
            processes = world.workers if what == "worker" else world.orchestrators
            world.kill([chance.choice(processes)])


def _wait_until_sent(link: RolloutLink) -> None:
    until = time.monotonic() + 60
    while link.waiting and time.monotonic() < until:
        time.sleep(0.05)


def main() -> None:
    """Print what was found; exit code 1 where a request was not answered once by its arm."""
    options = argparse.ArgumentParser(prog="python -m tests.rollout.kills", description=__doc__)
    options.add_argument("--requests", type=int, default=200)
    options.add_argument("--kills", type=int, default=24)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    kills = [KILLS[number % len(KILLS)] for number in range(given.kills)]
    with tempfile.TemporaryDirectory(prefix="rollout-") as folder:
        found = asyncio.run(race(Path(folder), given.requests, kills, given.seed)).as_json()
    print_line(json.dumps(found))
    sys.exit(found["by_their_arm"] != given.requests or found["answered_once"] != given.requests)


if __name__ == "__main__":
    main()

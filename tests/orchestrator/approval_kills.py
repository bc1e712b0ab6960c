"""`python -m tests.orchestrator.approval_kills --times 20`: kill -9 between a decision and its effect.

A process of its own takes a stored approval, decides, commits and publishes with the orchestrator's own code,
and dies at one step; another goes on. However often that happens, one dispatch is published for one approval.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.base.failpoints import Action, Trap, arm
from contracts.base.printing import print_line
from contracts.bus.connect import open_message_bus
from contracts.messages.approval_events import ApprovalUsed
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.state import TaskStatus
from orchestrator.scheduling.batch import OutboxEntry, OutboxKind
from orchestrator.scheduling.engine import Engine
from orchestrator.service.command_handler import CommandHandler
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from orchestrator.storage.store import Store
from tests.orchestrator.plans import WORKFLOW, Play, item, plan
from tests.orchestrator.test_store import everything, saved

STEPS = (
    *("loaded", "decided", "approval in commit", "approved", "dispatched"),
    *("dispatch in commit", "committed", "published", "marked"),
)
_COMMITS = {"approval in commit": 1, "dispatch in commit": 2}


@dataclass(frozen=True)
class Place:
    """Where a workflow is whose only task waits for approval, and what was published of it."""

    folder: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'state.db'}"

    @property
    def effects(self) -> list[str]:
        file = self.folder / "published"
        return file.read_text().split() if file.exists() else []

    def publish(self, entries: Sequence[OutboxEntry]) -> None:
        with (self.folder / "published").open("a") as file:
            file.writelines(f"{entry.entry_id}\n" for entry in entries)


async def prepare(place: Place) -> None:
    """Store the workflow and a person's approval, twice: another sends the same at the same moment."""
    upgrade(place.url)
    database = open_database(place.url)
    await saved(Store(database), Play(plan(item("a", requires_approval=True))))
    client = WorkflowClient(database)
    view = await client.workflow(WORKFLOW)
    assert view is not None
    for person in ("me", "another"):
        await client.approve(WORKFLOW, "a", view.action_hash("a"), person)
    await database.close()


async def work(place: Place, dies_at: str | None) -> None:
    """Do all that is to be done; die at a step."""

    def step(name: str) -> None:
        if name == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    database = open_database(place.url)
    store, commits = Store(database), 0
    assignment = await everything(store, uuid.uuid4().hex)
    engine = Engine(lambda: uuid.uuid4().hex, window=4)
    for workflow in await store.load_open([WORKFLOW]):
        engine.adopt(workflow, 0.0)
    left = [one for one in await store.load_outbox(assignment) if one.kind is OutboxKind.DISPATCH]
    step("loaded")

    async def commit() -> list[OutboxEntry]:
        nonlocal commits
        commits += 1
        if dies_at in _COMMITS and _COMMITS[dies_at] == commits:
            arm([Trap("orchestrator.in_commit", Action.KILL, 1.0)], place.folder / "traps", 0)
        batch, _ = engine.flush(time.time())
        await store.commit(batch, assignment)
        return [one for one in batch.outbox if one.kind is OutboxKind.DISPATCH]

    place.publish(left)
    handler = CommandHandler(engine, store, open_message_bus("memory://kills"))
    for command in await store.waiting_commands(assignment):
        await handler.handle(command, time.time(), 0.0)
    step("decided")
    await commit()
    step("approved")
    engine.dispatch_ready(time.time(), 0.0)
    step("dispatched")
    new = await commit()
    step("committed")
    place.publish(new)
    step("published")
    engine.pending.delivered += [one.entry_id for one in (*left, *new)]
    await commit()
    step("marked")
    await database.close()


async def problems(place: Place) -> list[str]:
    """What is wrong in the end."""
    database = open_database(place.url)
    client = WorkflowClient(database)
    view, entries = await client.workflow(WORKFLOW), await client.events(WORKFLOW)
    await database.close()
    assert view is not None
    [task] = view.tasks
    used = [one.event for one in entries if isinstance(one.event, ApprovalUsed)]
    found = []
    if len(used) != 1:
        found.append(f"{len(used)} approvals were used")
    if set(place.effects) != {one.dispatch_id for one in used}:
        found.append(f"published {place.effects}, approved {used}")
    if task.status is not TaskStatus.DISPATCHED or task.approval is None or task.attempt != 1:
        found.append(f"the task is {task.status}, attempt {task.attempt}")
    elif task.approval.dispatch_id != task.dispatch_id:
        found.append("the approval is bound to another dispatch")
    return found


def child(place: Place, dies_at: str | None) -> int:
    """Run `work` in a process of its own; the signal that ended it, 0 for none."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio.run(work(place, dies_at))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"the process failed at step {dies_at}")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def play(step: str) -> list[str]:
    """Kill a process at a step, let another go on, and a third find nothing to do."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        asyncio.run(prepare(place))
        killed = child(place, step)
        found = [] if killed == signal.SIGKILL else [f"nothing was killed at step {step}"]
        child(place, None)
        child(place, None)
        return found + asyncio.run(problems(place))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1, help="at each step")
    times = parser.parse_args().times
    found = [f"{step}: {one}" for step in STEPS for _ in range(times) for one in play(step)]
    for line in found:
        print_line(line)
    print_line(f"{len(STEPS) * times} kills at {len(STEPS)} steps: {len(found)} problems")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())

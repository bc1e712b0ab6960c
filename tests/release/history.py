"""A database with a history in it, made by the engine, the command handler and the store themselves."""

from __future__ import annotations

import itertools
from typing import Any

from contracts.bus.connect import open_message_bus
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.messages.budget import Budget
from contracts.messages.channels import Channels
from contracts.messages.journal import JournalEvent, OutcomeRefused
from contracts.messages.payloads import TaskOutcome
from orchestrator.client.views import WorkerView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import Terms
from orchestrator.core.events import Finished, Lost, Merged, WorkflowEvent
from orchestrator.core.sharding import ShardAssignment
from orchestrator.core.state import TaskStatus
from orchestrator.scheduling.dead_letters import dead_lettered_task
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.messages import request_message
from orchestrator.service.command_handler import CommandHandler
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.ownership import OrchestratorEntry
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.store import Store

COMMIT = "c0ffee" + "0" * 34


class Desk:
    """What an orchestrator does with a database, step by step, without workers and without waiting."""

    def __init__(self, database: Database, prefix: str = "d") -> None:
        """`prefix` of the ids of dispatches."""
        self.database = database
        numbers = itertools.count(1)
        self.store = Store(database)
        self.client = WorkflowClient(database)
        self.engine = Engine(lambda: f"{prefix}-{next(numbers)}", window=100)
        self.handler = CommandHandler(self.engine, self.store, open_message_bus("memory://history"))
        self.assignment = ShardAssignment({})
        self.now = 1_800_000_000.0

    async def start(self, orchestrator_id: str) -> None:
        """Own every shard."""
        entry = OrchestratorEntry(orchestrator_id, "here", 1, self.now)
        snapshot = await self.store.ownership.renew(entry, "Redis is away")
        seen = {row.shard: row.epoch for row in snapshot.shards}
        owned = await self.store.ownership.transfer_shards(orchestrator_id, seen, ())
        self.assignment = ShardAssignment(owned)

    async def add_worker(self, worker_id: str) -> None:
        streams = (Channels.requests("coder"),)
        await self.store.add_worker(WorkerView(worker_id, "here", 2, ("coder",), streams, 1, self.now))

    async def commit(self, *, deliver: bool = True) -> None:
        """Dispatch what is ready, and store; unless `deliver`, leave what follows in the outbox."""
        self.now += 100.0
        self.engine.dispatch_ready(self.now, self.now)
        batch, _ = self.engine.flush(self.now)
        await self.store.commit(batch, self.assignment)
        if deliver:
            self.engine.pending.delivered += [entry.entry_id for entry in batch.outbox]

    async def apply_commands(self, *, deliver: bool = True) -> list[str]:
        """Apply every command that waits. Returns their ids."""
        waiting = await self.store.waiting_commands(self.assignment)
        for command in waiting:
            await self.handler.handle(command, self.now, self.now)
        await self.commit(deliver=deliver)
        return [command.command_id for command in waiting]

    async def submit(
        self,
        workflow_id: str,
        *items: TodoItem,
        deliver: bool = True,
        questions: bool = False,
        budget: Budget | None = None,
    ) -> None:
        plan = TodoList(todo_list_id="plan", request=f"make {workflow_id}", items=items)
        await self.client.submit(plan, workflow_id=workflow_id, terms=Terms(questions, budget))
        await self.apply_commands(deliver=deliver)

    async def give(self, workflow_id: str, event: WorkflowEvent, *, deliver: bool = True) -> None:
        assert self.engine.apply(workflow_id, event, self.now, self.now).refused is None
        await self.commit(deliver=deliver)

    async def finish(self, workflow_id: str, task_id: str, *, deliver: bool = True, **fields: Any) -> None:
        """Report an outcome; success unless `fields` say something else."""
        dispatch_id = self._dispatch_id(workflow_id, task_id)
        default = {"status": "succeeded", "worker_id": "worker-1", "summary": f"{task_id} is done"}
        all_fields = {**default, "dispatch_id": dispatch_id, "execution_id": f"e-{dispatch_id}", **fields}
        outcome = TaskOutcome.model_validate(all_fields)
        await self.give(workflow_id, Finished(task_id, outcome), deliver=deliver)

    async def fail(self, workflow_id: str, task_id: str, code: str) -> None:
        error = {"code": code, "message": f"the cause is {code}"}
        await self.finish(workflow_id, task_id, status="failed", error=error)

    async def lose(self, workflow_id: str, task_id: str) -> None:
        """Let the worker die while it runs the task alone."""
        workflow = self.engine.workflows[workflow_id]
        message = request_message(workflow.header, workflow.tasks[task_id])
        lost = Lost(task_id, self._dispatch_id(workflow_id, task_id), "worker-1")
        self.engine.apply(workflow_id, lost, self.now, self.now)
        task = workflow.tasks[task_id]
        if task.status is TaskStatus.DEAD:
            letter = dead_lettered_task(message, workflow_id, task, "the end of the log")
            self.engine.pending.dead_letters.append(letter)
        await self.commit()

    async def record(self, workflow_id: str, event: JournalEvent) -> None:
        self.engine.record(workflow_id, event)
        await self.commit()

    def _dispatch_id(self, workflow_id: str, task_id: str) -> str:
        found = self.engine.workflows[workflow_id].tasks[task_id].dispatch_id
        assert found is not None
        return found


def item(task_id: str, *needs: str, role: str = "coder", **fields: Any) -> TodoItem:
    return TodoItem(
        task_id=task_id,
        title=f"Make {task_id}",
        agent_role=role,
        dependencies=needs,
        output_artifacts=(f"{task_id}.py",),
        **fields,
    )


async def write_history(url: str) -> None:
    """Fill a new database: every kind of journal entry, every end of a workflow, and unfinished work."""
    upgrade(url)
    database = open_database(url)
    try:
        desk = Desk(database)
        await desk.start("orchestrator-1")
        await desk.add_worker("worker-1")
        for part in (_completed, _failed, _dead_lettered, _operators, _unfinished):
            await part(desk)
    finally:
        await database.close()


async def _completed(desk: Desk) -> None:
    name = "completed"
    await desk.submit(name, item("code"), item("test", "code", role="tester"))
    await desk.finish(name, "code", commit=COMMIT)
    red = {"passed": 1, "failed": 1}
    await desk.finish(name, "test", summary="1 failed", verdict="failed", tests=red)
    await desk.finish(name, "test.fix1", commit=COMMIT, usage={"model_calls": 1, "cost_usd": 0.5})
    await desk.finish(name, "test.retest1", verdict="passed", tests={"passed": 2, "failed": 0})
    await desk.give(name, Merged(COMMIT))


async def _failed(desk: Desk) -> None:
    name = "failed"
    await desk.submit(name, item("code", max_retries=1), item("test", "code", role="tester"))
    await desk.fail(name, "code", "sandbox_unavailable")
    await desk.fail(name, "code", "broken")
    await desk.fail(name, "code", "broken")
    await desk.client.retry(name, None, "somebody")
    await desk.apply_commands()
    await desk.fail(name, "code", "broken")
    await desk.fail(name, "code", "broken")
    await desk.record(name, OutcomeRefused("code", "it is stale", "d-0", "e-d-0"))


async def _dead_lettered(desk: Desk) -> None:
    name = "dead-lettered"
    await desk.submit(name, item("code"))
    for _ in range(3):
        await desk.lose(name, "code")


async def _operators(desk: Desk) -> None:
    await desk.submit("cancelled", item("code"))
    await desk.client.cancel("cancelled", "somebody")
    await desk.client.cancel("completed", "somebody")
    await desk.apply_commands()
    name = "waiting"
    await desk.submit(name, item("one", requires_approval=True), item("two", requires_approval=True))
    view = await desk.client.workflow(name)
    assert view is not None
    await desk.client.approve(name, "one", view.action_hash("one"), "somebody")
    await desk.apply_commands()
    await desk.finish(name, "one", commit=COMMIT)


async def _unfinished(desk: Desk) -> None:
    """Rows of every kind in the outbox, and commands that nobody has applied."""
    name = "running"
    await desk.submit(name, *(item(f"t{number}") for number in range(3)), deliver=False)
    await desk.finish(name, "t0", commit=COMMIT, deliver=False)
    [letter] = await desk.client.dead_letters()
    await desk.client.retry_dead_letter(letter.dead_letter_id, "somebody")
    await desk.client.cancel(name, "somebody")
    plan = TodoList(todo_list_id="plan", request="make queued", items=(item("code"),))
    await desk.client.submit(plan, workflow_id="queued")

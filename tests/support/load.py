"""A load of small workflows, each of which must end as its plan says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from artifacts import GitArtifactStore
from contracts.base.errors import Unavailable
from contracts.documents.todo_list import TodoItem, TodoList
from multi_agent.chaos.agents import ROLE, Orders
from multi_agent.chaos.checks import FailedCheck, check_workflow
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.state import TaskStatus

LOOK_SECONDS = 0.1


def small_plan(name: str) -> TodoList:
    """Two tasks, one after the other, that hardly take any time; the second asks the model."""
    items = []
    for task_id, needs, orders in (("t0", (), Orders(milliseconds=20)), ("t1", ("t0",), Orders(ask=0))):
        items.append(
            TodoItem(
                task_id=task_id,
                title=task_id,
                description=orders.model_dump_json(),
                agent_role=ROLE,
                dependencies=needs,
                output_artifacts=(f"{task_id}.txt",),
            )
        )
    return TodoList(todo_list_id=name, request="test load", items=tuple(items))


class Load:
    """Keeps workflows under way. `plan` makes the next one of a name that it is given."""

    def __init__(
        self, client: WorkflowClient, artifacts: GitArtifactStore, plan: Callable[[str], TodoList]
    ) -> None:
        self._client = client
        self._artifacts = artifacts
        self._plan = plan
        self._submitted: set[str] = set()
        self.names: list[str] = []
        self.open: dict[str, TodoList] = {}
        self.findings: list[FailedCheck] = []
        self.refused = 0

    def add(self) -> str:
        """One more workflow; its name. It is submitted as soon as the database answers."""
        name = f"load-{len(self.names)}"
        self.names.append(name)
        self.open[name] = self._plan(name)
        return name

    async def run_until(
        self, reached: Callable[[], bool], what: str, *, keep_open: int = 0, seconds: float = 120
    ) -> None:
        """Go on, with so many workflows under way, until something is so."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}; open: {sorted(self.open)}"
            while len(self.open) < keep_open:
                self.add()
            await self._look()
            await asyncio.sleep(LOOK_SECONDS)

    async def finish(self) -> None:
        """Every workflow ends."""
        await self.run_until(lambda: not self.open, "all workflows end")

    async def _look(self) -> None:
        with suppress(Unavailable):
            for name, plan in list(self.open.items()):
                if name not in self._submitted:
                    # The same id again is the same workflow, whatever became of an earlier call.
                    await self._client.submit(plan, workflow_id=name)
                    self._submitted.add(name)
                view = await self._client.workflow(name)
                if view is None:
                    continue
                await self._decide(view)
                if view.header.status.terminal and not await self._parked(view):
                    checked = await check_workflow(self._client, self._artifacts, view, plan)
                    self.findings += checked.findings
                    self.refused += checked.refused
                    del self.open[name]

    async def _decide(self, view: WorkflowView) -> None:
        for task in view.waiting_for_approval:
            wanted = view.action_hash(task.task_id)
            await self._client.approve(view.header.workflow_id, task.task_id, wanted, "test")

    async def _parked(self, view: WorkflowView) -> bool:
        """Three cuts or kills may meet one task by chance; a person would try it again."""
        if not any(task.status is TaskStatus.DEAD for task in view.tasks):
            return False
        await self._client.retry(view.header.workflow_id, None, "test")
        return True

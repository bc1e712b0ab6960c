"""The orchestrator for callers without asyncio: create a workflow, execute it, get what it made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from agents.sdk.registry import agent_info
from contracts.base.errors import InvalidInput
from contracts.base.processes.loop_thread import LoopThread
from contracts.base.refs import branch_name
from contracts.documents.todo_list import TodoList
from contracts.messages.budget import Budget
from multi_agent.application.approvals.policies import policy_for
from multi_agent.application.ends.unmoved import check_unmoved
from multi_agent.application.follow import Progress, follow_until_settled
from multi_agent.application.plans import check_roles, read_plan
from multi_agent.application.spending.budgets import find_budget
from multi_agent.bootstrap import (
    check_price,
    find_agents,
    make_artifacts,
    make_client,
    open_current_database,
)
from multi_agent.facade.options import settings_from
from multi_agent.facade.outcome import WorkflowArtifacts, read_outcome
from multi_agent.facade.serving import served
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import Terms
from orchestrator.core.state import TaskStatus, WorkflowStatus

_WAITING: Final = "waiting_for_approval"
_ASKING: Final = "waiting_for_answer"
_SPENT: Final = "waiting_for_budget"
_SHOWN: Final = {
    TaskStatus.SUCCEEDED: "completed",
    TaskStatus.APPROVAL: _WAITING,
    TaskStatus.ANSWER: _ASKING,
    TaskStatus.BUDGET: _SPENT,
}


class Orchestrator:
    """Runs workflows of plans that lie in `plans_dir` as `<todo_list_id>.json`.

    Without options everything is as for `multi-agent run`: a private Redis, state and artifacts in the folder
    `.multi_agent`. Nothing stays open or running between the calls.
    """

    def __init__(
        self, *, plans_dir: Path | str = "plans", agents: Sequence[str] = (), **options: Any
    ) -> None:
        """agents: modules with agents of one's own. options: fields of Settings, such as data_dir, model.

        Raises InvalidInput for an option that does not exist, NotConfigured for a value that cannot be used.
        """
        self._settings = settings_from(options)
        self._plans_dir = Path(plans_dir)
        self._agents = (agents,) if isinstance(agents, str) else tuple(agents)
        self._thread = LoopThread()

    def create_workflow(self, todo_list_id: str, *, base_commit: str | None = None) -> str:
        """Queue the plan and return the workflow's id.

        base_commit: a commit in the artifact store from which the work starts.
        Raises InvalidInput for a plan that is absent, not valid, or asks for a role that no agent serves.
        """
        plan = self._read_plan(todo_list_id)
        return self._thread.run(self._create(plan, base_commit))

    async def _create(self, plan: TodoList, base_commit: str | None) -> str:
        async with self._client() as client:
            rules = policy_for(self._settings, None)
            terms = Terms(self._settings.questions == "always", self._budget(), rules)
            return await client.submit(plan, base_commit=base_commit, terms=terms)

    def _budget(self) -> Budget | None:
        return find_budget(self._settings, None, partial(check_price, self._settings), lambda _: None)

    def _read_plan(self, todo_list_id: object) -> TodoList:
        if not isinstance(todo_list_id, str):
            kind = type(todo_list_id).__name__
            raise InvalidInput(f"todo_list_id is a {kind}; give the plan's id: plan['todo_list_id']")
        path = self._plans_dir / f"{todo_list_id}.json"
        plan = read_plan(path, self._settings.max_tasks, hint="PlannerService writes it there")
        served_roles = {agent_info(found).role for found in find_agents(self._agents)}
        check_roles(plan, served_roles, hint="agents=[...]")
        return plan

    def execute_workflow(self, workflow_id: str) -> dict[str, Any]:
        """Wait until the workflow has ended, or until only a person can help, and return its state.

        {"workflow_id", "status", "reason", "tasks": {task_id: {"status", "commit", "attempt", "summary"}}}

        workflow_id: the id or an unambiguous beginning of it.
        The workflow's status is "completed", "failed", "cancelled", "waiting_for_approval" or, with
        questions="always", "waiting_for_answer", or with a budget "waiting_for_budget"; the commands
        `approve`, `answer` and `budget raise` decide. Starts an orchestrator and workers where none serve the
        data folder, and stops them at the end.
        Raises InvalidInput for an unknown workflow, NotConfigured and SandboxUnavailable for what is missing.
        """
        return self._thread.run(self._execute(workflow_id))

    async def _execute(self, workflow_id: str) -> dict[str, Any]:
        async with self._client() as client:
            known = await client.resolve(workflow_id)
            view = await client.workflow(known)
            if view is None or not view.settled or await client.has_waiting_commands(known):
                async with served(self._settings, self._agents):
                    view = await follow_until_settled(client, known, DatabaseRetry(), _show_nothing)
            return _state(view)

    def get_artifacts(self, workflow_id: str) -> WorkflowArtifacts:
        """What the workflow made: path -> content, and its reports; see WorkflowArtifacts.

        workflow_id: the id or an unambiguous beginning of it.
        Raises InvalidInput for an unknown workflow, and before the workflow is completed.
        """
        return self._thread.run(self._get_artifacts(workflow_id))

    async def _get_artifacts(self, workflow_id: str) -> WorkflowArtifacts:
        async with self._client() as client:
            known = await client.resolve(workflow_id)
            view = await client.workflow(known)
        if view is None or view.header.status is not WorkflowStatus.COMPLETED:
            status = view.header.status.value if view else "queued"
            raise InvalidInput(f"workflow {known} is {status}; execute_workflow completes it")
        commit = view.header.result_commit
        if commit is None:
            return WorkflowArtifacts()
        store = make_artifacts(self._settings)
        try:
            await check_unmoved(store, branch_name(known), commit)
            tree = await store.read_tree(commit)
            records = await store.read_records(known, commit)
        finally:
            await store.close()
        tasks = [task.task_id for task in view.tasks]
        return read_outcome(known, commit, tree, records, tasks)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[WorkflowClient]:
        database = await open_current_database(self._settings)
        try:
            yield make_client(self._settings, database)
        finally:
            await database.close()

    def close(self) -> None:
        """End the thread. Again is a no-op."""
        self._thread.close()

    def __enter__(self) -> Orchestrator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _show_nothing(_: Progress) -> None:
    """Nobody watches."""


def _state(view: WorkflowView) -> dict[str, Any]:
    waiting = view.stands_still and not view.header.status.terminal
    shown = _WAITING if view.waiting_for_approval else _ASKING if view.waiting_for_answer else _SPENT
    return {
        "workflow_id": view.header.workflow_id,
        "status": shown if waiting else view.header.status.value,
        "reason": view.header.reason,
        "tasks": {
            task.task_id: {
                "status": _SHOWN.get(task.status, task.status.value),
                "commit": task.commit,
                "attempt": task.attempt,
                "summary": task.summary,
            }
            for task in view.tasks
        },
    }

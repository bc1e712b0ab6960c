"""The orchestrator for callers without asyncio: create a workflow, execute it, get what it made."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import uuid
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from contracts.base.errors import InvalidInput
from contracts.base.loop_thread import LoopThread
from contracts.base.refs import branch_name, is_metadata
from contracts.bus.connect import get_message_bus
from contracts.documents.plan_checks import PlanLimits, parse_plan
from contracts.ports.artifacts import CommitStore
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.state import TaskStatus, WorkflowStatus
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.orchestrator import OrchestratorService, OrchestratorSettings
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from orchestrator.storage.store import Store


class Orchestrator:
    """Runs workflows of plans that lie in `plans_dir` as `<todo_list_id>.json`.

    Workers are processes of their own, which serve the same bus and artifact store. Where other
    orchestrators serve the database this one shares the load. Close it, or use it in a `with` statement.
    """

    def __init__(
        self,
        database_url: str,
        redis_url: str,
        artifacts: CommitStore,
        *,
        plans_dir: Path | str = "plans",
        limits: PlanLimits | None = None,
    ) -> None:
        if not structlog.is_configured():
            # A script's standard output is its own.
            structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
        self._redis_url = redis_url
        self._artifacts = artifacts
        self._plans_dir = Path(plans_dir)
        self._limits = limits
        upgrade(database_url)
        self._database = open_database(database_url)
        self._client = WorkflowClient(self._database)
        self._thread = LoopThread()

    def create_workflow(self, todo_list_id: str, *, base_commit: str | None = None) -> str:
        """Queue the plan and return the workflow's id. Raises InvalidInput for a plan that is not valid."""
        path = self._plans_dir / f"{todo_list_id}.json"
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"plan {path}: {error.strerror}; PlannerService writes it there") from None
        plan = parse_plan(raw, self._limits)
        return self._thread.run(self._client.submit(plan, base_commit=base_commit))

    def execute_workflow(self, workflow_id: str) -> dict[str, Any]:
        """Wait until the workflow has ended, or until only a person can help, and return its state.

        {"workflow_id", "status", "reason", "tasks": {task_id: {"status", "commit", "attempt", "summary"}}};
        status is "completed", "failed", "cancelled" or "waiting_for_approval".
        """
        return self._thread.run(self._execute(workflow_id))

    async def _execute(self, workflow_id: str) -> dict[str, Any]:
        bus = get_message_bus(self._redis_url)
        settings = OrchestratorSettings(f"{socket.gethostname()[:100]}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        metrics = OrchestratorMetrics(CollectorRegistry())
        owner = OrchestratorService(Store(self._database), bus, self._artifacts, settings, metrics=metrics)
        serving = asyncio.create_task(owner.run())
        following = asyncio.create_task(self._ended(workflow_id))
        try:
            await asyncio.wait({serving, following}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done() and not following.done():
                await serving
            return _state(await following)
        finally:
            following.cancel()
            owner.stop()
            await asyncio.gather(serving, following, return_exceptions=True)
            await bus.close()

    async def _ended(self, workflow_id: str) -> WorkflowView:
        known = await self._client.resolve(workflow_id)
        async for view in self._client.follow(known):
            ended = view.header.status.terminal or view.stands_still
            if ended and not await self._client.has_waiting_commands(known):
                return view
        raise InvalidInput(f"there is no workflow {workflow_id}")

    def get_artifacts(self, workflow_id: str) -> dict[str, Any]:
        """{"branch", "commit", "files": {path: bytes}} of the outcome, without our own metadata files.

        Branch and commit are None when the workflow left no file. Raises InvalidInput before it is completed.
        """
        return self._thread.run(self._get_artifacts(workflow_id))

    async def _get_artifacts(self, workflow_id: str) -> dict[str, Any]:
        view = await self._client.workflow(workflow_id)
        if view is None or view.header.status is not WorkflowStatus.COMPLETED:
            status = view.header.status.value if view else "unknown"
            raise InvalidInput(f"workflow {workflow_id} is {status}; it has no outcome")
        if view.header.result_commit is None:
            return {"branch": None, "commit": None, "files": {}}
        tree = await self._artifacts.read_tree(view.header.result_commit)
        files = {path: content for path, content in tree.items() if not is_metadata(path)}
        return {"branch": branch_name(workflow_id), "commit": view.header.result_commit, "files": files}

    def close(self) -> None:
        """Close the database; the artifact store stays the caller's."""
        self._thread.run(self._database.close())
        self._thread.close()

    def __enter__(self) -> Orchestrator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _state(view: WorkflowView) -> dict[str, Any]:
    waiting = view.stands_still and not view.header.status.terminal
    return {
        "workflow_id": view.header.workflow_id,
        "status": "waiting_for_approval" if waiting else view.header.status.value,
        "reason": view.header.reason,
        "tasks": {
            task.task_id: {
                "status": task.status.value
                if task.status is not TaskStatus.APPROVAL
                else "waiting_for_approval",
                "commit": task.commit,
                "attempt": task.attempt,
                "summary": task.summary,
            }
            for task in view.tasks
        },
    }

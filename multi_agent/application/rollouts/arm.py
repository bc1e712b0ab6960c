"""Multi-agent as an arm: each request is a workflow of what serves the data folder or the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from contracts.base.errors import StoreUnavailable
from contracts.base.identifiers import new_id
from contracts.documents.todo_list import TodoList
from multi_agent.application.ends.summary import Summary, summarise
from multi_agent.application.follow import Progress, follow_until_settled
from multi_agent.application.spending.planning import planning_usage
from multi_agent.rollout.records import ArmAnswer
from orchestrator.client.database_retry import DatabaseRetry

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from orchestrator.client.workflow_client import WorkflowClient

T = TypeVar("T")

AWAY_SECONDS: Final = 60.0
"""How long a request waits for a database before the legacy arm is asked instead."""


class Plans(Protocol):
    """Makes a plan for a request."""

    async def plan(self, request: str) -> TodoList: ...


@dataclass(frozen=True, slots=True)
class WorkflowAnswer:
    """What a workflow made."""

    files: dict[str, bytes]
    """The tree of its result by path; empty where it did not complete."""
    summary: Summary


class WorkflowArm:
    """Plans a request, has it done, and returns what came of it. `run` is the arm."""

    def __init__(self, client: WorkflowClient, plans: Plans, store: GitArtifactStore, location: str) -> None:
        """location: where the store is."""
        self._client, self._plans = client, plans
        self._store, self._location = store, location

    async def run(self, request: str) -> ArmAnswer:
        """A WorkflowAnswer; a success where the workflow completed.

        A workflow that has begun is waited for, also while services are away or start again. Raises
        Unavailable where none could begin, so that the legacy arm may answer.
        """
        plan = await self._plans.plan(request)
        name = f"rollout-{new_id()}"
        await _asked(lambda: self._client.submit(plan, workflow_id=name))
        retry = DatabaseRetry()
        view = await follow_until_settled(self._client, name, retry, _show_nothing)
        planning = await retry.call(lambda: planning_usage(self._client, name))
        summary = await summarise(view, self._store, self._location, planning)
        commit = view.header.result_commit
        files = dict(await self._store.read_tree(commit)) if commit else {}
        return ArmAnswer(
            WorkflowAnswer(files, summary),
            success=summary.status == "completed",
            iterations=summary.attempts,
            cost_usd=summary.cost_usd,
            findings=_critical(summary),
        )


def _critical(summary: Summary) -> int:
    """Remarks of reviewers that are critical and were not mended."""
    return sum(one.severity == "critical" and one.fate != "fixed" for one in summary.findings)


async def _asked(ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns, once the database answers. Raises StoreUnavailable after a minute."""
    until = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)


def _show_nothing(_: Progress) -> None:
    """Nobody watches."""

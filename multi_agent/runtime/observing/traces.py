"""Reads what a trace is made of: the journal, the tasks, and what was kept in the artifact store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from artifacts import GitArtifactStore
from multi_agent.runtime.services import open_artifacts
from multi_agent.settings import Settings
from multi_agent.telemetry.tracing.journal_spans import JournalFact
from multi_agent.telemetry.tracing.stored_calls import Stored
from multi_agent.telemetry.tracing.trace import TaskFacts, Trace, build_trace
from orchestrator.client.views import JournalEntry, WorkflowView

_PAGE: Final = 5_000


class JournalReader(Protocol):
    """See orchestrator.client.queries.WorkflowQueries."""

    async def events(
        self, workflow_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[JournalEntry]: ...

    async def last_sequence(self) -> int: ...

    async def workflow(self, workflow_id: str) -> WorkflowView | None: ...


def _is_elsewhere(settings: Settings) -> bool:
    return "://" not in settings.artifacts and not Path(settings.artifacts).exists()


@asynccontextmanager
async def open_kept(settings: Settings) -> AsyncIterator[GitArtifactStore | None]:
    """Open the artifact store; None where it is on another machine."""
    if _is_elsewhere(settings):
        yield None
        return
    async with open_artifacts(settings) as artifacts:
        yield artifacts


async def read_trace(client: JournalReader, artifacts: GitArtifactStore | None, workflow_id: str) -> Trace:
    """The trace of a workflow as it is now. Raises StoreUnavailable, ArtifactError.

    artifacts: None where they are on another machine; calls of models and tools are missing then.
    """
    facts: list[JournalFact] = []
    while True:
        after = facts[-1].sequence if facts else 0
        page = await client.events(workflow_id, after, _PAGE)
        facts += [JournalFact(one.sequence, one.at, one.kind, one.event) for one in page]
        if len(page) < _PAGE:
            break
    # Read after the journal: an attempt that ended there has kept all its calls.
    kept = None if artifacts is None else await artifacts.exchanges(workflow_id)
    view = await client.workflow(workflow_id)
    tasks = {task.task_id: TaskFacts(task.item.agent_role, task.usage) for task in view.tasks} if view else {}
    return build_trace(workflow_id, facts, tasks, None if kept is None else [Stored(*one) for one in kept])

"""Reads what a trace is made of: the journal, the tasks, and what was kept in the artifact store."""

from __future__ import annotations

from typing import Final

from artifacts import GitArtifactStore
from multi_agent.telemetry.tracing.journal_spans import JournalFact
from multi_agent.telemetry.tracing.stored_calls import Stored
from multi_agent.telemetry.tracing.trace import TaskFacts, Trace, build_trace
from orchestrator.client.workflow_client import WorkflowClient

_PAGE: Final = 5_000


async def read_trace(client: WorkflowClient, artifacts: GitArtifactStore | None, workflow_id: str) -> Trace:
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

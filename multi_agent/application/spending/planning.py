"""What making a plan has cost."""

from __future__ import annotations

from contracts.messages.journal import WorkflowSubmitted
from contracts.messages.payloads import Usage
from orchestrator.client.queries import WorkflowQueries


async def planning_usage(client: WorkflowQueries, workflow_id: str) -> Usage:
    """Return what planning consumed, as the submission says; nothing for a plan that was there before."""
    entries = await client.events(workflow_id, 0, 1)
    submitted = entries[0].event if entries else None
    known = isinstance(submitted, WorkflowSubmitted) and submitted.planning
    return known or Usage()

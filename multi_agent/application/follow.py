"""Following a workflow while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.client.views import JournalEntry, WorkflowView
from orchestrator.client.workflow_client import WorkflowClient

_ALL_EVENTS = 100_000


@dataclass(frozen=True, slots=True)
class Progress:
    """A workflow, and what has happened since the progress before."""

    view: WorkflowView
    entries: list[JournalEntry]
    """Oldest first."""


async def follow(
    client: WorkflowClient, workflow_id: str, retry: DatabaseRetry, *, after: int = 0
) -> AsyncIterator[Progress]:
    """Yield the progress of a workflow for as long as the caller wants to know.

    after: leave out journal entries up to this sequence. Outages of the database are waited out; `retry`
    reports them.
    """
    seen = after
    async for view in client.follow(workflow_id, retry_policy=retry):
        ask = partial(client.events, workflow_id, after=seen, limit=_ALL_EVENTS)
        entries = await retry.call(ask)
        seen = entries[-1].sequence if entries else seen
        yield Progress(view, entries)


async def follow_until_settled(
    client: WorkflowClient, workflow_id: str, retry: DatabaseRetry, show: Callable[[Progress], None]
) -> WorkflowView:
    """Show each progress until the workflow has ended or goes on only when an operator decides.

    A command that waits for an orchestrator keeps it going. Returns the last state.
    """
    async for progress in follow(client, workflow_id, retry):
        show(progress)
        waiting = partial(client.has_waiting_commands, workflow_id)
        if progress.view.settled and not await retry.call(waiting):
            # A command may have been applied between the two reads.
            newest = await retry.call(partial(client.workflow, workflow_id))
            if newest is not None and newest.settled:
                return newest
    raise AssertionError("follow() never ends by itself")

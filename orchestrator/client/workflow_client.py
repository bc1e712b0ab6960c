"""What faces and programs may do with a database: append commands, read, and follow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from contracts.base.errors import StoreUnavailable
from orchestrator.client.audit_log import AuditLog
from orchestrator.client.commands import Hint, WorkflowCommands
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.client.journal_tail import JournalTail
from orchestrator.client.queries import WorkflowQueries
from orchestrator.client.release_approvals import ReleaseApprovals
from orchestrator.client.views import WorkflowView
from orchestrator.core.audit.entries import Via
from orchestrator.storage.admission import MAX_OPEN_WORKFLOWS
from orchestrator.storage.sql.database import Database


class WorkflowClient(WorkflowCommands, WorkflowQueries):
    """Commands, queries and one tail of the journal for all who follow. Changes state by commands only.

    A process makes one for each database it opens.
    """

    def __init__(
        self,
        database: Database,
        hint: Hint | None = None,
        *,
        max_open: int = MAX_OPEN_WORKFLOWS,
        via: Via = Via.PROGRAM,
        day_usd: float | None = None,
    ) -> None:
        """See WorkflowCommands."""
        WorkflowCommands.__init__(self, database, hint, max_open=max_open, via=via, day_usd=day_usd)
        WorkflowQueries.__init__(self, database)
        self.audit = AuditLog(database, via)
        self.releases = ReleaseApprovals(database, via)
        self._tail = JournalTail(self.newest_sequences)

    async def follow(
        self, workflow_id: str, *, retry_policy: DatabaseRetry | None = None
    ) -> AsyncIterator[WorkflowView]:
        """Yield the workflow as it is, and again each time its journal grew; never ends by itself.

        A workflow that is only queued is first yielded when an orchestrator has created it. Outages of the
        database are waited out; `retry_policy` reports them.
        """
        retry = retry_policy or DatabaseRetry()
        seen: int | None = None
        while True:
            try:
                current = await self._tail.newer(workflow_id, seen)
            except StoreUnavailable:
                # The end of the outage is reported at once, not with the next entry.
                await retry.call(partial(self.newest_sequences, [workflow_id]))
                continue
            view = await retry.call(partial(self.workflow, workflow_id))
            if view is not None:
                seen = current
                yield view

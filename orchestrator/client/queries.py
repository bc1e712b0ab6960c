"""Reading workflows, dead letters, the journal, and the processes that serve a database."""

from __future__ import annotations

from collections.abc import Collection

from contracts.base.errors import InvalidInput
from contracts.base.processes.command_lines import command_line
from contracts.messages.journal import WorkflowOffered
from orchestrator.client.views import (
    JournalEntry,
    OrchestratorView,
    WorkerView,
    WorkflowOverview,
    WorkflowView,
)
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.storage.command_rows import has_unapplied_commands
from orchestrator.storage.dead_letters import read_dead_letter, read_dead_letters, read_dropped_messages
from orchestrator.storage.loading import read_workflow
from orchestrator.storage.queries import (
    find_workflow_ids,
    read_journal,
    read_last_sequence,
    read_newest_sequences,
    read_offer,
    read_orchestrators,
    read_overviews,
    read_waiting,
    read_workers,
)
from orchestrator.storage.sql.database import Database

_SUGGESTIONS = 6


class WorkflowQueries:
    """Reads, and never changes anything. Every method raises StoreUnavailable during an outage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def workflow(self, workflow_id: str) -> WorkflowView | None:
        """One workflow, None when there is none; a submitted one exists once an orchestrator created it."""
        found = await self._database.read(lambda connection: read_workflow(connection, workflow_id))
        return WorkflowView(found.header, tuple(found.tasks.values())) if found else None

    async def workflows(self, limit: int = 20) -> list[WorkflowOverview]:
        """The newest workflows, newest first."""
        return await self._database.read(lambda connection: read_overviews(connection, limit))

    async def waiting(self, limit: int = 20) -> list[WorkflowView]:
        """The newest workflows in which a task waits for a person, newest first."""
        found = await self._database.read(lambda connection: read_waiting(connection, limit))
        return [WorkflowView(one.header, tuple(one.tasks.values())) for one in found]

    async def ids(self, part: str | None, limit: int) -> list[str]:
        """Ids of workflows that begin or end with `part`; the newest ones when None."""
        return await self._database.read(lambda connection: find_workflow_ids(connection, part, limit))

    async def resolve(self, name: str | None) -> str:
        """A workflow's id from an unambiguous beginning of it, or else end; the newest workflow's when None.

        Finds workflows that are submitted and not created yet as well. Raises InvalidInput.
        """
        found = await self.ids(name, _SUGGESTIONS)
        if name:
            found = [one for one in found if one.startswith(name)] or found
        if found and (name is None or found[0] == name or len(found) == 1):
            return found[0]
        if not found:
            what = f"no workflow begins or ends with {name!r}" if name else "there is no workflow yet"
            raise InvalidInput(f"{what}; `{command_line('status')}` lists them")
        raise InvalidInput(f"{name!r} fits several workflows: {', '.join(found)}; name one of them")

    async def events(
        self, workflow_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[JournalEntry]:
        """Journal entries with a sequence above `after`, oldest first; of one workflow, or of all."""
        return await self._database.read(
            lambda connection: read_journal(connection, workflow_id, after, limit)
        )

    async def last_sequence(self) -> int:
        """The sequence of the newest journal entry of all; 0 without any."""
        return await self._database.read(read_last_sequence)

    async def offered(self, workflow_id: str) -> WorkflowOffered | None:
        """What a failed workflow offers; None before that is known, and after a retry."""
        return await self._database.read(lambda connection: read_offer(connection, workflow_id))

    async def newest_sequences(self, workflow_ids: Collection[str]) -> dict[str, int]:
        """The sequence of the newest journal entry of each of these workflows that has one."""
        return await self._database.read(lambda connection: read_newest_sequences(connection, workflow_ids))

    async def has_waiting_commands(self, workflow_id: str) -> bool:
        """Whether a command about the workflow was appended and not applied yet."""
        return await self._database.read(lambda connection: has_unapplied_commands(connection, workflow_id))

    async def dead_letters(
        self, *, resolved: bool = False, workflow_id: str | None = None, limit: int = 100
    ) -> list[StoredDeadLetter]:
        """The newest dead letters, oldest first; of one workflow, or of all.

        resolved: include those that were retried or discarded.
        """
        return await self._database.read(
            lambda connection: read_dead_letters(
                connection, resolved=resolved, workflow_id=workflow_id, limit=limit
            )
        )

    async def dropped_messages(self) -> int:
        """How many unreadable messages were dropped because newer ones needed the room."""
        return await self._database.read(read_dropped_messages)

    async def dead_letter(self, dead_letter_id: int) -> StoredDeadLetter:
        """One dead letter. Raises InvalidInput when it does not exist."""
        found = await self._database.read(lambda connection: read_dead_letter(connection, dead_letter_id))
        if found is None:
            listing = command_line("dead-letters", "list")
            raise InvalidInput(f"there is no dead letter {dead_letter_id}; `{listing}` shows them")
        return found

    async def orchestrators(self) -> list[OrchestratorView]:
        """Orchestrators that started and were not found dead, oldest first."""
        return await self._database.read(read_orchestrators)

    async def workers(self) -> list[WorkerView]:
        """Workers that joined and have not left, as an orchestrator last recorded, oldest first."""
        return await self._database.read(read_workers)

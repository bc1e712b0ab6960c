"""Approvals of releases, for faces: asked for, decided, used up; each with its row of the audit log."""

from __future__ import annotations

import time

from contracts.base.errors import InvalidInput
from contracts.base.identifiers import new_id
from contracts.base.processes.users import user_name
from orchestrator.core.audit.entries import Actor, Via
from orchestrator.core.commands import ACCEPTED, CommandResult
from orchestrator.storage.approvals.releases import (
    Release,
    Said,
    WaitingRelease,
    decide_release,
    end_release,
    read_waiting_releases,
    use_release,
)
from orchestrator.storage.sql.database import Database

_GONE = "it does not wait for approval any more; look again"


class ReleaseApprovals:
    """Those of one database. Every method raises StoreUnavailable during an outage.

    via: where what this process does comes from.
    """

    def __init__(self, database: Database, via: Via) -> None:
        self._database = database
        self._via = via

    async def waiting(self, limit: int = 100) -> list[WaitingRelease]:
        """The newest that a person must decide about, newest first."""
        return await self._database.read(lambda connection: read_waiting_releases(connection, limit))

    async def use(self, release: Release) -> str | None:
        """Use up an approval of exactly this release and return its hash; None when a person is asked now.

        Raises InvalidInput for one that a person refused.
        """
        now, use_id, actor = time.time(), new_id(), Actor(user_name(), self._via)
        try:
            return await self._database.write(
                lambda connection: use_release(connection, release, actor, use_id, now), durable=True
            )
        except PermissionError as error:
            said = f": {error}" if str(error) else ""
            what = f"{release.kind} of {release.workflow_id}"
            raise InvalidInput(f"{what}: a person refused exactly this{said}") from None

    async def end(self, action_hash: str, *, done: bool) -> None:
        """Say what became of what used an approval: it is done, or nothing happened."""
        await self._database.write(
            lambda connection: end_release(connection, action_hash, done=done), durable=True
        )

    async def decide(
        self, asked: WaitingRelease, person: str, comment: str, *, approve: bool
    ) -> CommandResult:
        """Allow it once, or refuse it for ever."""
        now, said, actor = time.time(), Said(approve, person, comment), Actor(user_name(), self._via)
        decided = await self._database.write(
            lambda connection: decide_release(connection, asked, said, actor, now), durable=True
        )
        return ACCEPTED if decided else CommandResult(_GONE)

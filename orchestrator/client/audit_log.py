"""The audit log for faces: reading it, checking it, and recording effects outside."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from orchestrator.core.audit.chain import Anchor, AuditRow, Head, Verified, verify
from orchestrator.core.audit.entries import COMMANDS, Actor, AuditEntry, AuditKind, Fact
from orchestrator.storage.audit.log import append_audit, read_heads, read_newest, read_page, read_rows
from orchestrator.storage.sql.database import Database


class AuditLog:
    """The log in one database, as one actor. Every method raises StoreUnavailable during an outage."""

    def __init__(self, database: Database, actor: Actor) -> None:
        self._database = database
        self._actor = actor

    async def record(
        self, kind: AuditKind, facts: Mapping[str, Fact], *, workflow_id: str | None = None
    ) -> None:
        """Append what the actor does to the chain of commands; it survives a loss of power."""
        entry = AuditEntry(kind, self._actor.who, self._actor.via, workflow_id, None, facts)
        now = time.time()
        await self._database.write(
            lambda connection: append_audit(connection, [(COMMANDS, entry)], now), durable=True
        )

    async def newest(
        self, limit: int, *, workflow_id: str | None = None, kind: str | None = None
    ) -> list[AuditRow]:
        """The newest rows, oldest first; of one workflow or kind, or of all."""
        return await self._database.read(
            lambda connection: read_newest(connection, limit, workflow_id=workflow_id, kind=kind)
        )

    async def heads(self) -> dict[str, Head]:
        """The newest row of each chain that has one."""
        return await self._database.read(read_heads)

    async def verify(self, anchors: Sequence[Anchor]) -> Verified:
        """Check every row, in one snapshot, against the heads and these anchors, which were read before."""
        return await self._database.read(
            lambda connection: verify(read_rows(connection), read_heads(connection), anchors)
        )

    async def rows(self) -> AsyncIterator[AuditRow]:
        """All rows, by chain and number."""
        page = await self._database.read(partial(read_page, after=None))
        while page:
            for row in page:
                yield row
            page = await self._database.read(partial(read_page, after=page[-1]))

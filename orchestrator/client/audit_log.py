"""The audit log for faces: reading it, checking it, and recording effects outside."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from contracts.base.processes.users import user_name
from orchestrator.core.audit.chain import Anchor, AuditRow, Head, Verified, verify
from orchestrator.core.audit.entries import COMMANDS, AuditEntry, AuditKind, Fact, Via
from orchestrator.storage.audit.log import (
    append_audit,
    read_heads,
    read_newest,
    read_page,
    read_rows,
    settle_heads,
)
from orchestrator.storage.sql.database import Database


class AuditLog:
    """The log in one database. Every method raises StoreUnavailable during an outage.

    via: where what this process does comes from.
    """

    def __init__(self, database: Database, via: Via) -> None:
        self._database = database
        self._via = via

    async def record(
        self, kind: AuditKind, facts: Mapping[str, Fact], *, workflow_id: str | None = None
    ) -> None:
        """Append what this user does to the chain of commands; it survives a loss of power."""
        entry = AuditEntry(kind, user_name(), self._via, workflow_id, None, facts)
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

    async def settled_heads(self) -> dict[str, Head]:
        """The heads, after all that they stand for survives a loss of power."""
        return await self._database.write(settle_heads, durable=True)

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

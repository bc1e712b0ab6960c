"""The orchestrators of a database: how each shows that it is alive, and how shards change owners."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select, update

from orchestrator.core.sharding import OwnershipSnapshot, ShardRow
from orchestrator.storage import tables as t
from orchestrator.storage.sql.database import Database, upsert


@dataclass(frozen=True, slots=True)
class OrchestratorEntry:
    """An orchestrator as others see it."""

    orchestrator_id: str
    host: str
    pid: int
    started_at: float
    """Seconds since 1970."""


class OwnershipStore:
    """The tables `orchestrators` and `shards`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def renew(self, entry: OrchestratorEntry, note: str) -> OwnershipSnapshot:
        """Count this orchestrator's renewals up, store what it waits for, and read who else is there."""
        row = {
            "orchestrator_id": entry.orchestrator_id,
            "host": entry.host,
            "pid": entry.pid,
            "started_at": entry.started_at,
            "renewals": 1,
            "note": note,
        }
        changes = {"renewals": t.orchestrators.c.renewals + 1, "note": note}

        def body(connection: Connection) -> OwnershipSnapshot:
            # Also registers again an orchestrator that was removed as dead.
            upsert(connection, t.orchestrators, row, changes)
            renewals = connection.execute(
                select(t.orchestrators.c.orchestrator_id, t.orchestrators.c.renewals)
            )
            columns = (t.shards.c.shard, t.shards.c.owner, t.shards.c.epoch)
            shards = connection.execute(select(*columns).order_by(t.shards.c.shard))
            return OwnershipSnapshot(
                {name: count for name, count in renewals}, tuple(ShardRow(*one) for one in shards)
            )

        return await self._database.write(body)

    async def remove_dead(self, dead: Mapping[str, int]) -> None:
        """Remove orchestrators whose counter has not changed; this frees their shards."""
        c = t.orchestrators.c

        def body(connection: Connection) -> None:
            for name, counter in sorted(dead.items()):
                connection.execute(
                    delete(t.orchestrators).where(c.orchestrator_id == name, c.renewals == counter)
                )

        await self._database.write(body)

    async def remove_gone(self, me: str, gone: Collection[str] | None) -> None:
        """Remove orchestrators that are known to be dead: these, or all but `me` when None."""
        c = t.orchestrators.c
        which = c.orchestrator_id != me if gone is None else c.orchestrator_id.in_(sorted(gone))
        await self._database.write(
            lambda connection: connection.execute(delete(t.orchestrators).where(which))
        )

    async def transfer_shards(
        self, orchestrator_id: str, claim: Mapping[int, int], release: Iterable[int]
    ) -> dict[int, int]:
        """Release shards, and claim those that still have the epoch they were seen with (shard -> epoch).

        The new epochs, which are returned, fence every earlier owner, and every earlier term of this one.
        """
        c = t.shards.c
        released = list(release)

        def body(connection: Connection) -> dict[int, int]:
            epochs = _locked(connection, c.shard.in_([*claim, *released]))
            freed = [shard for shard in released if shard in epochs]
            connection.execute(
                update(t.shards).where(c.shard.in_(freed), c.owner == orchestrator_id).values(owner=None)
            )
            won = [shard for shard, epoch in claim.items() if epochs[shard] == epoch]
            connection.execute(
                update(t.shards).where(c.shard.in_(won)).values(owner=orchestrator_id, epoch=c.epoch + 1)
            )
            return {shard: epochs[shard] + 1 for shard in won}

        return await self._database.write(body, durable=True)

    async def leave(self, orchestrator_id: str) -> None:
        """Release all shards and leave, so that others can claim them at once."""

        def body(connection: Connection) -> None:
            _locked(connection, t.shards.c.owner == orchestrator_id)
            connection.execute(update(t.shards).where(t.shards.c.owner == orchestrator_id).values(owner=None))
            connection.execute(
                delete(t.orchestrators).where(t.orchestrators.c.orchestrator_id == orchestrator_id)
            )

        await self._database.write(body)


def _locked(connection: Connection, which: ColumnElement[bool]) -> dict[int, int]:
    """Lock shards in ascending order, as every transaction does; their epochs."""
    c = t.shards.c
    query = select(c.shard, c.epoch).where(which).order_by(c.shard).with_for_update()
    return {shard: epoch for shard, epoch in connection.execute(query)}

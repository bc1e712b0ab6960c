"""The owners of a database: how each shows that it lives, and how shards change hands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select, update

from orchestrator.core.sharding import Roll, ShardRow
from orchestrator.storage import tables as t
from orchestrator.storage.sql.database import Database, upsert


@dataclass(frozen=True, slots=True)
class OwnerEntry:
    """An owner as others see it. `owner_id` is new with every start of a process; times are since 1970."""

    owner_id: str
    host: str
    pid: int
    started_at: float


class Roster:
    """The tables `owners` and `shards`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beat(self, entry: OwnerEntry, note: str) -> Roll:
        """Show that this owner lives, say what it waits for, and see who else is there."""
        row = {
            "owner_id": entry.owner_id,
            "host": entry.host,
            "pid": entry.pid,
            "started_at": entry.started_at,
            "renewals": 1,
            "note": note,
        }
        changes = {"renewals": t.owners.c.renewals + 1, "note": note}

        def body(connection: Connection) -> Roll:
            # One that was taken for dead, and struck off, is back with this.
            upsert(connection, t.owners, row, changes)
            renewals = connection.execute(select(t.owners.c.owner_id, t.owners.c.renewals))
            columns = (t.shards.c.shard, t.shards.c.owner, t.shards.c.epoch)
            shards = connection.execute(select(*columns).order_by(t.shards.c.shard))
            return Roll({name: count for name, count in renewals}, tuple(ShardRow(*one) for one in shards))

        return await self._database.write(body)

    async def strike_off(self, dead: Mapping[str, int]) -> None:
        """Remove owners whose counter still stands where it stood; their shards are free then."""
        c = t.owners.c

        def body(connection: Connection) -> None:
            for name, counter in sorted(dead.items()):
                connection.execute(delete(t.owners).where(c.owner_id == name, c.renewals == counter))

        await self._database.write(body)

    async def strike_off_gone(self, me: str, gone: Collection[str] | None) -> None:
        """Remove owners that are known to be gone: these, or all but `me` when None."""
        c = t.owners.c
        which = c.owner_id != me if gone is None else c.owner_id.in_(sorted(gone))
        await self._database.write(lambda connection: connection.execute(delete(t.owners).where(which)))

    async def change_hands(
        self, owner_id: str, take: Mapping[int, int], release: Iterable[int]
    ) -> dict[int, int]:
        """Give shards back, and take those that still have the epoch they were seen with.

        The epochs that come back fence every earlier owner, and every earlier session of this one.
        """
        c = t.shards.c
        given = list(release)

        def body(connection: Connection) -> dict[int, int]:
            epochs = _locked(connection, c.shard.in_([*take, *given]))
            freed = [shard for shard in given if shard in epochs]
            connection.execute(
                update(t.shards).where(c.shard.in_(freed), c.owner == owner_id).values(owner=None)
            )
            won = [shard for shard, epoch in take.items() if epochs[shard] == epoch]
            connection.execute(
                update(t.shards).where(c.shard.in_(won)).values(owner=owner_id, epoch=c.epoch + 1)
            )
            return {shard: epochs[shard] + 1 for shard in won}

        return await self._database.write(body, durable=True)

    async def leave(self, owner_id: str) -> None:
        """Give everything back, so that others take it over at once."""

        def body(connection: Connection) -> None:
            _locked(connection, t.shards.c.owner == owner_id)
            connection.execute(update(t.shards).where(t.shards.c.owner == owner_id).values(owner=None))
            connection.execute(delete(t.owners).where(t.owners.c.owner_id == owner_id))

        await self._database.write(body)


def _locked(connection: Connection, which: ColumnElement[bool]) -> dict[int, int]:
    """Lock shards, in the order in which everybody locks them; their epochs."""
    c = t.shards.c
    query = select(c.shard, c.epoch).where(which).order_by(c.shard).with_for_update()
    return {shard: epoch for shard, epoch in connection.execute(query)}

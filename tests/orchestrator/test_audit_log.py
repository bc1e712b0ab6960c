"""The audit log in both databases: written with what it records, by one writer of a chain after the other."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sqlalchemy import Connection, delete, text, update

from contracts.bus.connect import open_message_bus
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.audit.chain import AuditRow, Verified, verify
from orchestrator.core.audit.entries import COMMANDS, AuditEntry, AuditKind, Via, shard_chain, text_hash
from orchestrator.core.sharding import ShardAssignment, shard_of
from orchestrator.scheduling.engine import Engine
from orchestrator.service.command_handler import CommandHandler
from orchestrator.storage import tables as t
from orchestrator.storage.audit.log import append_audit, read_heads, read_newest, read_rows, settle_heads
from orchestrator.storage.sql.database import Database, open_database
from orchestrator.storage.store import OwnershipLost, Store
from tests.orchestrator.plans import WORKFLOW, Play, item, plan
from tests.orchestrator.test_store import saved

SHARD = shard_chain(shard_of(WORKFLOW))


async def rows_of(database: Database) -> list[AuditRow]:
    return await database.read(lambda one: list(read_rows(one)))


async def verified(database: Database) -> Verified:
    return await database.read(lambda one: verify(read_rows(one), read_heads(one)))


def entry(name: str) -> AuditEntry:
    return AuditEntry("key.added", name, Via.PROGRAM, facts={"key": name})


async def test_a_command_is_two_rows_asked_and_what_became_of_it(database: Database) -> None:
    play = Play(plan(item("a", requires_approval=True)))
    store = Store(database)
    assignment = await saved(store, play)
    client = WorkflowClient(database, via=Via.COMMAND_LINE)
    await client.reject(WORKFLOW, "a", "ann", "it costs too much")
    await client.cancel(WORKFLOW, "bob")
    await client.cancel(WORKFLOW, "bob")
    engine = Engine(lambda: "d1", window=4)
    engine.adopt(play.workflow, 0.0)
    handler = CommandHandler(engine, store, open_message_bus("memory://audit"))
    for command in await store.waiting_commands(assignment):
        await handler.handle(command, 1.0, 1.0)
    batch, _ = engine.flush(1.0)
    await store.commit(batch, assignment)
    rows = await rows_of(database)
    asked, done = ([row for row in rows if row.chain == name] for name in (COMMANDS, SHARD))
    assert [row.kind for row in asked] == ["command.asked"] * 3
    assert [row.kind for row in done] == ["command.applied", "command.refused", "command.refused"]
    first = asked[0].said
    assert (first["who"], first["via"], first["task_id"]) == ("ann", "command line", "a")
    assert first["facts"]["text_sha256"] == text_hash("it costs too much")
    assert not any("costs" in row.entry for row in [*asked, *done])
    assert {one.said["facts"]["command_id"] for one in asked} == {
        one.said["facts"]["command_id"] for one in done
    }
    assert done[0].said["via"] == "command"
    assert (await verified(database)).bad == []


async def test_what_is_not_committed_is_no_row(database: Database) -> None:
    store = Store(database)
    engine = Engine(lambda: "d1", window=4)
    engine.note(WORKFLOW, entry("a"))
    batch, _ = engine.flush(1.0)
    with pytest.raises(OwnershipLost):
        await store.commit(batch, ShardAssignment({shard_of(WORKFLOW): 99}))
    assert await rows_of(database) == []


async def test_writers_that_race_make_one_chain(database: Database, database_url: str) -> None:
    others = [open_database(database_url) for _ in range(3)]
    try:

        async def write(one: Database, number: int) -> None:
            rows = [(chain, entry(f"{number}")) for chain in (SHARD, COMMANDS, SHARD)]
            await one.write(lambda connection: append_audit(connection, rows, 1.0), durable=number % 2 == 0)

        await asyncio.gather(*(write(others[n % 3], n) for n in range(30)))
    finally:
        for one in others:
            await one.close()
    found = await verified(database)
    assert found.bad == []
    assert {chain: head.number for chain, head in found.heads.items()} == {COMMANDS: 30, SHARD: 60}


async def test_rows_that_were_changed_in_the_database_are_found(database: Database) -> None:
    rows = [(COMMANDS, entry(f"{n}")) for n in range(3)]
    await database.write(lambda one: append_audit(one, rows, 1.0))
    await database.write(lambda one: one.execute(delete(t.audit).where(t.audit.c.number == 3)))
    [bad] = (await verified(database)).bad
    assert (bad.chain, bad.number, bad.why) == (COMMANDS, 3, "row 3 is missing: the head is row 3")
    text = update(t.audit).where(t.audit.c.number == 2).values(entry="{}")
    await database.write(lambda one: one.execute(text))
    [bad] = (await verified(database)).bad
    assert bad.number == 2


async def test_heads_that_are_told_elsewhere_are_on_the_disk(database: Database) -> None:
    """A transaction of SQLite that writes nothing brings nothing to it."""

    def written(connection: Connection) -> int:
        settle_heads(connection)
        asked = "SELECT changes()" if connection.dialect.name == "sqlite" else "SELECT 1"
        return int(connection.execute(text(asked)).scalar_one())

    log = WorkflowClient(database).audit
    await log.record(AuditKind.INTENDED, {"effect": "key.add"})
    assert await log.settled_heads() == await log.heads() != {}
    assert await database.write(written) == 1


async def test_the_newest_rows_come_oldest_first(database: Database) -> None:
    for number in range(4):
        one = AuditEntry(f"kind-{number % 2}", "ann", Via.POLICY, workflow_id=f"w-{number % 2}")
        await database.write(partial(append_audit, entries=[(f"c{number}", one)], at=float(number)))
    newest = await database.read(lambda one: read_newest(one, 3))
    assert [row.at for row in newest] == [1.0, 2.0, 3.0]
    of_one = await database.read(lambda one: read_newest(one, 3, workflow_id="w-1", kind="kind-1"))
    assert [row.chain for row in of_one] == ["c1", "c3"]

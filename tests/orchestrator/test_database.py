"""What both databases promise beyond transactions; on SQLite, writes that wait share one."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

import psycopg.waiting
import pytest
from sqlalchemy import Connection, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from contracts.base.errors import NotConfigured, StoreDamaged, StoreUnavailable
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import Database, SqliteDatabase, open_database
from orchestrator.storage.sql.pipelining import commit_in_pipeline, pipelined_block, require, send_statement
from orchestrator.storage.sql.transactions import Body, ConditionFailed, sqlite_driver, translated
from orchestrator.storage.tables import orchestrators, shards
from orchestrator.storage.writing import Rows
from tests.support.damage import break_pages
from tests.support.postgres import PrivatePostgres

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def put(name: str) -> Body[str]:
    def body(connection: Connection) -> str:
        row = {"orchestrator_id": name, "host": "h", "pid": 1, "started_at": 0.0, "renewals": 0, "note": ""}
        connection.execute(insert(orchestrators).values(**row))
        return name

    return body


async def names(database: Database) -> set[str]:
    query = select(orchestrators.c.orchestrator_id)
    return await database.read(lambda connection: set(connection.execute(query).scalars()))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_i3_locks_of_a_process_that_stands_still_are_released(database: Database) -> None:
    asked = text("SHOW idle_in_transaction_session_timeout")
    assert await database.read(lambda connection: connection.execute(asked).scalar()) == "5s"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_i1_locks_of_a_process_that_stands_still_within_a_batch_are_released(
    database: Database, database_url: str
) -> None:
    stands, goes_on = threading.Event(), threading.Event()
    rows = Rows(shards, ("epoch",), ("shard",))

    def stand_still(connection: Connection) -> None:
        with pipelined_block(connection):
            rows.write(connection, [(7, 1)])
            stands.set()
            assert goes_on.wait(30)

    async def another_process() -> None:
        soon = "options=-c%20idle_in_transaction_session_timeout%3D500ms"
        other = open_database(f"{database_url}?{soon}")
        with pytest.raises(StoreUnavailable):
            await other.write(stand_still)
        await other.close()

    job = asyncio.create_task(asyncio.to_thread(asyncio.run, another_process()))
    await asyncio.to_thread(stands.wait, 20)
    try:
        async with asyncio.timeout(10):
            change = update(shards).where(shards.c.shard == 1).values(epoch=8)
            await database.write(lambda connection: connection.execute(change))
    finally:
        goes_on.set()
    await job


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_i1_a_refused_batch_leaves_nothing_to_the_next_that_the_server_does_not_know(
    database: Database,
) -> None:
    def change(connection: Connection, marker: int, condition: str) -> None:
        with pipelined_block(connection):
            require(connection, condition, ())
            send_statement(
                connection, f"UPDATE shards SET epoch = %s WHERE shard = %s AND {marker} = {marker}", (7, 1)
            )
            commit_in_pipeline(connection)

    late_and_false = "pg_sleep(0.05) IS NULL"  # by then the rest was sent, and the commit with it
    # Whenever the driver prepares a statement: it does so for what it has sent often.
    for often in range(1, 10):
        for _ in range(often):
            await database.write(partial(change, marker=often, condition="true"))
        with pytest.raises(ConditionFailed):
            await database.write(partial(change, marker=often, condition=late_and_false))
        await database.write(partial(change, marker=often, condition="true"))


async def test_i3_callers_that_are_cancelled_anywhere_leave_nothing_to_the_next(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As when the process had no time for anything else: the driver gives way at every step.
    monkeypatch.setattr(psycopg.waiting, "MAX_BUSY_TIME", 0.0)

    numbers = itertools.count()
    rows = Rows(shards, ("epoch",), ("shard",))

    def count_up(connection: Connection) -> None:
        number = next(numbers)
        with pipelined_block(connection):
            for shard in range(3):
                rows.write(connection, [(number, shard)])

    locking = select(shards.c.epoch).order_by(shards.c.shard).limit(1).with_for_update()
    for steps in range(100):
        for call in (partial(database.write, count_up), partial(names, database)):
            job = asyncio.create_task(call())
            for _ in range(steps):
                await asyncio.sleep(0)
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            await database.write(lambda connection: connection.execute(locking).scalars().all())
    query = select(shards.c.epoch).order_by(shards.c.shard).limit(3)
    epochs = await database.read(lambda connection: set(connection.execute(query).scalars()))
    assert len(epochs) == 1


class Gate:
    """A body that holds the transaction up until it is let go."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, _: Connection) -> None:
        self.entered.set()
        assert self.open.wait(20)


async def held_up(database: Database, *bodies: Body[Any]) -> list[Any]:
    """What became of bodies that all waited for one transaction."""
    gate = Gate()
    first = asyncio.create_task(database.write(gate, durable=True))
    await asyncio.to_thread(gate.entered.wait, 20)
    others = [asyncio.create_task(database.write(body, durable=True)) for body in bodies]
    await asyncio.sleep(0.05)
    gate.open.set()
    _, *found = await asyncio.gather(first, *others, return_exceptions=True)
    return found


@on_sqlite
async def test_each_caller_hears_of_its_own_body(database: Database) -> None:
    found = await held_up(database, put("a"), put("b"), put("a"), put("c"))
    assert [one for one in found if isinstance(one, str)] in (["a", "b", "c"], ["b", "a", "c"])
    assert sum(isinstance(one, IntegrityError) for one in found) == 1
    assert await names(database) == {"a", "b", "c"}


@on_sqlite
async def test_a_body_that_fails_takes_back_only_its_own(database: Database) -> None:
    def half(connection: Connection) -> None:
        put("half")(connection)
        raise LookupError("changed my mind")

    found = await held_up(database, put("a"), half, put("b"))
    assert isinstance(found[1], LookupError)
    assert await names(database) == {"a", "b"}


@on_sqlite
async def test_what_waits_is_committed_together(database: SqliteDatabase) -> None:
    commits: list[object] = []
    event.listen(database._writer, "commit", commits.append)
    assert await held_up(database, *(put(f"n{number}") for number in range(40))) == [
        f"n{number}" for number in range(40)
    ]
    assert len(commits) == 2


@on_sqlite
async def test_nobody_is_told_that_all_is_well_when_the_commit_failed(database: SqliteDatabase) -> None:
    def broken(_: Connection) -> None:
        raise OSError("the disk is gone")

    event.listen(database._writer, "commit", broken)
    found = await held_up(database, put("a"), put("b"))
    assert [type(one) for one in found] == [OSError, OSError]


@on_sqlite
async def test_a_caller_that_gave_up_before_its_turn_writes_nothing(database: Database) -> None:
    gate = Gate()
    first = asyncio.create_task(database.write(gate, durable=True))
    await asyncio.to_thread(gate.entered.wait, 20)
    second = asyncio.create_task(database.write(put("never"), durable=True))
    await asyncio.sleep(0.05)
    second.cancel()
    gate.open.set()
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    await database.write(put("after"))
    assert "after" in await names(database)


@on_sqlite
async def test_a_quick_write_gives_way_to_whoever_writes(database: SqliteDatabase) -> None:
    gate = Gate()
    first = asyncio.create_task(database.write(gate, durable=True))
    await asyncio.to_thread(gate.entered.wait, 20)
    second = asyncio.create_task(database.write(put("quick")))
    await asyncio.sleep(0.05)
    assert not second.done()
    gate.open.set()
    await first
    assert await second == "quick"


@on_sqlite
async def test_a_quick_write_that_fails_leaves_nothing(database: SqliteDatabase) -> None:
    def half(connection: Connection) -> None:
        put("half")(connection)
        raise LookupError("changed my mind")

    with pytest.raises(LookupError):
        await database.write(half)
    with pytest.raises(IntegrityError):
        await database.write(lambda connection: [put("twice")(connection), put("twice")(connection)])
    assert await database.write(put("whole")) == "whole"
    assert await names(database) == {"whole"}


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_a_database_of_another_encoding_is_refused_with_what_to_do(
    postgres: PrivatePostgres, encoding: str
) -> None:
    url = postgres.new_database(encoding)
    told = f"has the encoding {encoding}, .* ENCODING 'UTF8'"
    with pytest.raises(NotConfigured, match=told):
        upgrade(url)
    database = open_database(url)
    for ask in (database.read, database.write):
        with pytest.raises(NotConfigured, match=told):
            await ask(lambda connection: connection.execute(text("SELECT 1")).scalar())
    await database.close()


@on_sqlite
async def test_a_page_that_cannot_be_read_is_damage_and_no_outage(database_url: str, tmp_path: Path) -> None:
    upgrade(database_url)
    break_pages(tmp_path / "state.db", "orchestrators")
    database = open_database(database_url)
    for attempt in (names(database), database.write(put("two")), database.write(put("two"), durable=True)):
        with pytest.raises(StoreDamaged, match=r"(?s)the database is damaged.*db backup"):
            await attempt
    await database.close()


@on_sqlite
async def test_quick_writes_share_a_connection(database: SqliteDatabase) -> None:
    opened: list[Connection] = []
    event.listen(database._quick, "engine_connect", opened.append)
    for name in "abc":
        await database.write(put(name))
    assert len(opened) == 1


@on_sqlite
async def test_a_durable_write_whose_setting_failed_sets_it_again(database: SqliteDatabase) -> None:
    asked: list[str | None] = []

    def judge(action: int, name: str | None, value: str | None, *_: str | None) -> int:
        if (action, name) != (sqlite3.SQLITE_PRAGMA, "synchronous"):
            return sqlite3.SQLITE_OK
        asked.append(value)
        return sqlite3.SQLITE_DENY if len(asked) == 1 else sqlite3.SQLITE_OK

    with database._writer.connect() as connection:
        driver = sqlite_driver(connection)
        assert driver is not None
        driver.set_authorizer(judge)
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        await database.write(put("a"), durable=True)
    for name in "bc":
        await database.write(put(name), durable=True)
    assert asked == ["FULL", "FULL"]
    assert await names(database) == {"b", "c"}


def test_an_error_of_the_driver_itself_is_an_outage_too() -> None:
    found = translated(sqlite3.OperationalError("disk I/O error"), "/state.db")
    assert isinstance(found, StoreUnavailable)
    assert str(found) == "the database does not answer: disk I/O error (/state.db)"

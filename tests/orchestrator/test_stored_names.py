"""Rows that versions before release 0.1.0 stored under other names, after the upgrade and back."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from sqlalchemy import JSON, Engine, MetaData, Table, column, create_engine, insert, inspect, select, table

from contracts.messages.journal import UnknownEvent
from contracts.messages.journal_rows import decode_journal
from orchestrator.core.sharding import ShardAssignment, shard_of
from orchestrator.scheduling.batch import Batch, OutboxEntry, OutboxKind
from orchestrator.storage.migrate import migration_config, upgrade
from orchestrator.storage.sql.database import Database, open_database, parse_url
from orchestrator.storage.store import Store
from orchestrator.storage.tables import metadata

OLD_JOURNAL: dict[str, dict[str, Any]] = {
    "task.retrying": {"attempt": 1, "code": "c", "message": "m", "again_in_seconds": 2.5},
    "task.delayed": {"attempt": 1, "code": "c", "message": "m", "again_in_seconds": 2.5},
    "task.lost": {"attempt": 1, "crashes": 1, "alone": True, "worker": "w1"},
    "task.to_be_fixed": {"cycle": 1, "added": "test.fix1, test.retest1"},
    "outcome.refused": {"why": "stale", "dispatch_id": "d", "execution_id": "e"},
    "command.refused": {"command": "cancel", "why": "over"},
    "task.approved": {"person": "why", "action_hash": "worker"},
}
NEW_JOURNAL: dict[str, dict[str, Any]] = {
    **OLD_JOURNAL,
    "task.retrying": {"attempt": 1, "code": "c", "message": "m", "retry_in_seconds": 2.5},
    "task.delayed": {"attempt": 1, "code": "c", "message": "m", "retry_in_seconds": 2.5},
    "task.lost": {"attempt": 1, "crashes": 1, "alone": True, "dead_worker_id": "w1"},
    "task.to_be_fixed": {"cycle": 1, "added": ["test.fix1", "test.retest1"]},
    "outcome.refused": {"reason": "stale", "dispatch_id": "d", "execution_id": "e"},
    "command.refused": {"command": "cancel", "reason": "over"},
}
OLD_COMMANDS = [
    ("one", "retry-letter", '{"dead_letter_id":1,"person":"me"}'),
    ("three", "cancel", '{"person":"retry-letter"}'),
    ("two", "discard-letter", '{"kind":"discard-letter","dead_letter_id":1,"person":"me"}'),
]
NEW_COMMANDS = [
    ("one", "retry-dead-letter", '{"dead_letter_id":1,"person":"me"}'),
    ("three", "cancel", '{"person":"retry-letter"}'),
    ("two", "discard-dead-letter", '{"kind":"discard-dead-letter","dead_letter_id":1,"person":"me"}'),
]
DISPATCHES = [OutboxEntry(f"d{number}", OutboxKind.DISPATCH, "wf", f"t{number}") for number in range(2)]
ROW = {"workflow_id": "wf", "task_id": "t0"}
OLD_OUTBOX: list[dict[str, Any]] = [
    {**ROW, "entry_id": "d9", "kind": "dispatch", "entries": None},
    {
        **ROW,
        "entry_id": "parcel-d0",
        "kind": "parcel",
        "entries": '[["d0","dispatch","wf","t0",null],["d1","dispatch","wf","t1",null]]',
    },
]


@pytest.fixture
def old_url(database_url: str) -> str:
    """A database of revision 0003 with rows as its versions wrote them."""
    upgrade(database_url, "0003")
    journal = [
        {"workflow_id": "wf", "task_id": "t0", "at": 1.0, "kind": kind, "data": data}
        for kind, data in OLD_JOURNAL.items()
    ]
    names = ("command_id", "kind", "body")
    shared = {"workflow_id": "wf", "shard": shard_of("wf"), "created_at": 1.0}
    commands = [{**dict(zip(names, one, strict=True)), **shared} for one in OLD_COMMANDS]
    owner = {"owner_id": "o1", "host": "h", "pid": 1, "started_at": 2.0, "renewals": 3, "note": "n"}
    engine = create_engine(parse_url(database_url))
    with engine.begin() as connection:
        for name, rows in (
            ("journal", journal),
            ("commands", commands),
            ("outbox", OLD_OUTBOX),
            ("owners", [owner]),
        ):
            connection.execute(insert(Table(name, MetaData(), autoload_with=connection)), rows)
    engine.dispose()
    return database_url


def rows_of(url: str, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of all rows, in order of the first."""
    source = table(name, *(column(one, JSON if one == "data" else None) for one in columns))
    engine = create_engine(parse_url(url))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(select(source).order_by(source.c[columns[0]]))]
    finally:
        engine.dispose()


async def test_a_row_of_several_dispatches_is_deleted_once_they_are_delivered(old_url: str) -> None:
    upgrade(old_url)
    database = open_database(old_url)
    try:
        store = Store(database)
        found = await store.load_outbox(ShardAssignment({shard_of("wf"): 1}))
        assert [entry for entry in found if entry.entry_id != "d9"] == DISPATCHES
        delivered = [entry.entry_id for entry in found]
        await store.commit(Batch(now=5.0, delivered=delivered), ShardAssignment({}))
        assert await _outbox(database) == []
    finally:
        await database.close()


async def _outbox(database: Database) -> list[Any]:
    return list(await database.read(lambda one: one.execute(select(metadata.tables["outbox"])).all()))


def test_commands_get_the_new_kinds_and_the_old_ones_back(old_url: str) -> None:
    upgrade(old_url)
    assert rows_of(old_url, "commands", "command_id", "kind", "body") == NEW_COMMANDS
    command.downgrade(migration_config(old_url), "0003")
    assert rows_of(old_url, "commands", "command_id", "kind", "body") == OLD_COMMANDS


def test_journal_entries_can_be_decoded_and_get_their_old_keys_back(old_url: str) -> None:
    upgrade(old_url)
    found = rows_of(old_url, "journal", "sequence", "kind", "data")
    assert {kind: data for _, kind, data in found} == NEW_JOURNAL
    events = [decode_journal(kind, "t0", data) for _, kind, data in found]
    assert not [event for event in events if isinstance(event, UnknownEvent)]
    command.downgrade(migration_config(old_url), "0003")
    assert {row[1]: row[2] for row in rows_of(old_url, "journal", "sequence", "kind", "data")} == OLD_JOURNAL


def test_rows_of_the_outbox_and_of_orchestrators_get_their_old_names_back(old_url: str) -> None:
    upgrade(old_url)
    assert rows_of(old_url, "orchestrators", "orchestrator_id", "renewals", "note") == [("o1", 3, "n")]
    command.downgrade(migration_config(old_url), "0003")
    assert rows_of(old_url, "owners", "owner_id", "renewals", "note") == [("o1", 3, "n")]
    assert rows_of(old_url, "outbox", "entry_id", "kind", "entries") == [
        (one["entry_id"], one["kind"], one["entries"]) for one in OLD_OUTBOX
    ]


@pytest.mark.parametrize("revision", ["0003", "base"])
def test_primary_keys_are_named_as_the_tables_have_them(database_url: str, revision: str) -> None:
    upgrade(database_url)
    command.downgrade(migration_config(database_url), revision)
    upgrade(database_url)
    expected = {name: one.primary_key.name for name, one in metadata.tables.items()}
    engine = create_engine(parse_url(database_url))
    try:
        assert _primary_keys(engine) == expected
    finally:
        engine.dispose()


def _primary_keys(engine: Engine) -> dict[str, str | None]:
    found = inspect(engine)
    names = set(found.get_table_names()) - {"alembic_version"}
    return {name: found.get_pk_constraint(name)["name"] for name in names}

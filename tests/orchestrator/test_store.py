"""The store on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, inspect, text

from contracts.errors import InvalidInput, NotConfigured, StoreUnavailable
from orchestrator.batch import Batch, DeadLetter, OutboxEntry, shard_of
from orchestrator.client import WorkflowClient
from orchestrator.database import Database, alembic_url, open_database
from orchestrator.decision import Entry
from orchestrator.inputs import Finished
from orchestrator.schema import migration_config, upgrade
from orchestrator.state import Workflow
from orchestrator.store import OwnershipLost, Store
from tests.orchestrator.plans import Play, commit_of, failed, item, outcome, plan, red_tests

TODO = plan(item("code"), item("test", "code", role="tester"), item("review", "test", role="reviewer"))


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def created(play: Play) -> Batch:
    """A batch that stores the workflow as it stands."""
    batch = Batch(now=time.time())
    batch.created[play.workflow.header.workflow_id] = play.workflow
    batch.shards.add(play.workflow.header.shard)
    return batch


async def saved(store: Store, play: Play) -> int:
    epoch = await store.claim("me")
    await store.commit(created(play), epoch)
    return epoch


def same(one: Workflow | None, other: Workflow) -> bool:
    assert one is not None
    return (one.header, one.tasks, one.unmet) == (other.header, other.tasks, other.unmet)


async def test_a_workflow_is_read_as_it_was_written(store: Store) -> None:
    play = Play(TODO)
    play.succeed("code")
    play.give(Finished("test", red_tests(play.dispatch("test"))))
    play.give(Finished("test.fix1", failed(play.dispatch("test.fix1"))))
    await saved(store, play)
    assert same(await store.load("wf-1"), play.workflow)
    assert [same(one, play.workflow) for one in await store.load_open()] == [True]


async def test_changes_replace_what_was_there(store: Store) -> None:
    play = Play(TODO)
    epoch = await saved(store, play)
    batch = Batch(now=5.0)
    decisions = [play.succeed("code")]
    decisions.append(play.give(Finished("test", red_tests(play.dispatch("test")))))
    for decision in decisions:
        for task in decision.tasks:
            batch.tasks["wf-1", task.task_id] = play.workflow.tasks[task.task_id]
    batch.added = {("wf-1", "test.fix1"): 3, ("wf-1", "test.retest1"): 4}
    batch.headers["wf-1"] = play.workflow.header
    await store.commit(batch, epoch)
    assert same(await store.load("wf-1"), play.workflow)


async def test_ended_workflows_are_not_loaded_with_the_open_ones(store: Store) -> None:
    play = Play(plan(item("a", max_retries=0)))
    play.give(Finished("a", failed(play.dispatch("a"))))
    await saved(store, play)
    assert await store.load_open() == []


async def test_a_batch_is_written_whole_or_not_at_all(store: Store, database: Database) -> None:  # I2
    play = Play(TODO)
    epoch = await saved(store, play)
    batch = Batch(now=1.0, shards={0})
    batch.journal.append(("wf-1", Entry("task.dispatched", "code")))
    batch.outbox += [OutboxEntry("d1", "dispatch", "wf-1", "code")] * 2
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await store.commit(batch, epoch)
    assert await store.outbox() == []
    assert await WorkflowClient(database).events("wf-1") == []


async def test_an_owner_that_was_replaced_writes_nothing(store: Store) -> None:  # I3
    play = Play(TODO)
    old = await saved(store, play)
    new = await store.claim("somebody else")
    assert new > old
    batch = Batch(now=1.0, shards={shard_of("wf-1")})
    batch.headers["wf-1"] = replace(play.workflow.header, reason="written by a ghost")
    with pytest.raises(OwnershipLost):
        await store.commit(batch, old)
    with pytest.raises(OwnershipLost):
        await store.renew(old)
    loaded = await store.load("wf-1")
    assert loaded is not None
    assert loaded.header.reason == ""


async def test_two_that_claim_at_once_get_different_epochs(
    database_url: str, database: Database
) -> None:  # I3
    others = [Store(open_database(database_url)) for _ in range(3)]
    epochs = await asyncio.gather(
        *(one.claim(f"owner-{n}") for n, one in enumerate([Store(database), *others]))
    )
    assert len(set(epochs)) == 4
    for one in others:
        await one.close()


async def test_the_renewal_counter_moves_only_while_the_owner_lives(store: Store) -> None:
    assert (await store.renewals())[1] is True
    epoch = await store.claim("me")
    first, free = await store.renewals()
    assert free is False
    await store.renew(epoch)
    assert (await store.renewals())[0] == first + 1
    await store.release(epoch)
    assert (await store.renewals())[1] is True


async def test_outbox_entries_stay_until_they_are_settled(store: Store) -> None:
    epoch = await store.claim("me")
    entries = [
        OutboxEntry("d1", "dispatch", "wf", "a"),
        OutboxEntry("ref-d0", "ref", "wf", "b", commit_of("b")),
    ]
    await store.commit(Batch(now=1.0, outbox=list(entries)), epoch)
    assert sorted(await store.outbox(), key=lambda entry: entry.entry_id) == entries
    await store.commit(Batch(now=2.0, settled=["d1"]), epoch)
    assert [entry.entry_id for entry in await store.outbox()] == ["ref-d0"]


async def test_dead_letters_keep_the_bytes(store: Store, database: Database) -> None:  # I7
    raw = b"\xff\x00 not ours"
    await store.commit(
        Batch(now=1.0, dead_letters=[DeadLetter("agent.results.1", "no JSON", raw)]), await store.claim("me")
    )
    query = text("SELECT stream, reason, raw FROM dead_letters")
    found = await database.read(lambda connection: connection.execute(query).one())
    assert (found[0], found[1], bytes(found[2])) == ("agent.results.1", "no JSON", raw)


async def test_commands_are_handed_out_until_answered(store: Store, database: Database) -> None:
    client = WorkflowClient(database)
    name = await client.submit(TODO, workflow_id="wf-9")
    await client.submit(TODO, workflow_id="wf-9")
    waiting = await store.waiting_commands()
    assert [(one.kind, one.workflow_id) for one in waiting] == [("submit", name)]
    await store.commit(
        Batch(now=1.0, answers={waiting[0].command_id: "done"}, durable=True), await store.claim("me")
    )
    assert await store.waiting_commands() == []
    assert await client.answer(waiting[0].command_id, 0.0) == "done"


async def test_events_come_in_order_and_after_a_sequence(store: Store, database: Database) -> None:
    epoch = await saved(store, Play(TODO))
    for number in range(3):
        await store.commit(Batch(now=1.0, journal=[("wf-1", Entry("x.y", None, {"n": number}))]), epoch)
    client = WorkflowClient(database)
    found = await client.events("wf-1")
    assert [entry.data["n"] for entry in found] == [0, 1, 2]
    assert [entry.data["n"] for entry in await client.events("wf-1", after=found[0].sequence)] == [1, 2]


async def test_a_beginning_of_a_name_is_enough_when_it_is_clear(store: Store, database: Database) -> None:
    await saved(store, Play(TODO))
    client = WorkflowClient(database)
    assert await client.resolve("wf") == await client.resolve(None) == "wf-1"
    with pytest.raises(InvalidInput, match="no workflow starts with 'zz'"):
        await client.resolve("zz")
    with pytest.raises(InvalidInput, match="no workflow starts with '%'"):
        await client.resolve("%")


async def test_many_writers_never_see_a_locked_database(database_url: str, database: Database) -> None:
    others = [open_database(database_url) for _ in range(4)]
    clients = [WorkflowClient(one) for one in (database, *others)]
    await asyncio.gather(*(client.cancel("wf", "me") for client in clients for _ in range(20)))
    assert len(await Store(database).waiting_commands(1000)) == 100
    for one in others:
        await one.close()


def test_the_migrations_add_up_to_the_tables(database_url: str) -> None:
    upgrade(database_url)
    upgrade(database_url)
    command.check(migration_config(database_url))


def test_the_migrations_can_be_taken_back(database_url: str) -> None:
    upgrade(database_url)
    command.downgrade(migration_config(database_url), "base")
    engine = create_engine(alembic_url(database_url))
    try:
        assert inspect(engine).get_table_names() == ["alembic_version"]
    finally:
        engine.dispose()
    upgrade(database_url)


async def test_upgrading_from_several_processes_at_once_is_safe(database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(_upgrade_in_a_process, database_url) for _ in range(4)))
    command.check(migration_config(database_url))


async def test_an_upgrade_killed_half_way_is_done_again(database_url: str) -> None:
    upgrade(database_url, "0001")
    await _execute(database_url, "UPDATE shards SET renewals = 7 WHERE shard = 3")
    await _execute(
        database_url,
        "INSERT INTO dead_letters (at, stream, reason, raw) VALUES (1.5, 'agent.results.3', 'why', '')",
    )
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", KILLED_HALF_WAY, database_url], check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    upgrade(database_url)
    command.check(migration_config(database_url))
    assert await _execute(database_url, "SELECT renewals FROM shards WHERE shard = 3") == [(7,)]
    found = await _execute(database_url, "SELECT at, stream, reason, logs FROM dead_letters")
    assert found == [(1.5, "agent.results.3", "why", None)]


KILLED_HALF_WAY = """
import os, signal, sys
from sqlalchemy import Engine, event
from orchestrator.schema import upgrade

@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *more):
    if "ALTER TABLE tasks" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

upgrade(sys.argv[1])
"""


async def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    def body(connection: Connection) -> list[tuple[object, ...]]:
        result = connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []

    database = open_database(url)
    try:
        return await database.write(body)
    finally:
        await database.close()


def _upgrade_in_a_process(url: str) -> None:
    code = "import sys; from orchestrator.schema import upgrade; upgrade(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, url], check=True, timeout=60)


async def test_an_absent_server_is_an_outage_not_a_bug() -> None:
    away = open_database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable):
        await Store(away).renewals()
    await away.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "what?"])
def test_other_databases_are_refused_in_words(url: str) -> None:
    with pytest.raises(NotConfigured, match="sqlite:///"):
        open_database(url)


async def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    upgrade(url)
    database = open_database(url)
    release = threading.Event()

    def slow(connection: Connection) -> None:
        connection.execute(text("UPDATE shards SET renewals = 7 WHERE shard = 1"))
        assert release.wait(10)

    writing = asyncio.create_task(database.write(slow))
    assert (await Store(database).renewals())[0] == 0
    release.set()
    await writing
    assert (await Store(database).renewals())[0] == 7
    await database.close()


async def test_outcomes_keep_their_reports(store: Store) -> None:
    play = Play(plan(item("a")))
    play.give(Finished("a", outcome(play.dispatch("a"), summary="x" * 2000, backend="docker", seconds=1.5)))
    await saved(store, play)
    assert same(await store.load("wf-1"), play.workflow)

"""The store on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, delete, insert, inspect, text

from contracts.base.errors import InvalidInput, NotConfigured, StoreUnavailable
from contracts.documents.repository_settings import RepositorySettings
from contracts.messages.journal import CommandRefused, TaskDispatched
from orchestrator.client.views import WorkerView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import ACCEPTED, CommandResult
from orchestrator.core.events import Finished, Retry
from orchestrator.core.sharding import ShardAssignment, shard_of
from orchestrator.core.state import Workflow
from orchestrator.scheduling.batch import Batch, DeadLetter, OutboxEntry, OutboxKind
from orchestrator.scheduling.engine import Engine
from orchestrator.storage import writing
from orchestrator.storage.migrate import migration_config, upgrade
from orchestrator.storage.ownership import OrchestratorEntry
from orchestrator.storage.sql.database import Database, is_current, open_database, parse_url
from orchestrator.storage.store import OwnershipLost, Store
from orchestrator.storage.tables import commands, journal, outbox, plans, tasks, workflows
from tests.orchestrator.plans import Play, commit_of, failed, item, outcome, plan, red_tests

TODO = plan(item("code"), item("test", "code", role="tester"), item("review", "test", role="reviewer"))


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def created(play: Play) -> Batch:
    """A batch that stores the workflow as it stands."""
    batch = Batch(now=time.time())
    name = play.workflow.header.workflow_id
    batch.created[name] = play.workflow
    batch.tasks = {(name, task.task_id): task for task in play.workflow.tasks.values()}
    batch.shards.add(play.workflow.header.shard)
    return batch


def cycle_added(play: Play) -> Batch:
    """A batch that stores what TODO has become once its test found something."""
    header = play.workflow.header
    batch = Batch(now=5.0, headers={header.workflow_id: header}, shards={header.shard})
    batch.tasks = {(header.workflow_id, name): task for name, task in play.workflow.tasks.items()}
    batch.added = {(header.workflow_id, "test.fix1"): 3, (header.workflow_id, "test.retest1"): 4}
    return batch


async def everything(store: Store, orchestrator_id: str = "me") -> ShardAssignment:
    """All shards, under new epochs."""
    roll = await store.ownership.renew(OrchestratorEntry(orchestrator_id, "here", 1, 0.0), "")
    seen = {row.shard: row.epoch for row in roll.shards}
    return ShardAssignment(await store.ownership.transfer_shards(orchestrator_id, seen, ()))


async def saved(store: Store, play: Play) -> ShardAssignment:
    assignment = await everything(store)
    await store.commit(created(play), assignment)
    return assignment


async def opened(store: Store, assignment: ShardAssignment) -> list[Workflow]:
    """All open workflows of the share."""
    busy, idle = await store.open_workflow_ids(assignment)
    return await store.load_open([*busy, *idle])


def same(one: Workflow | None, other: Workflow) -> bool:
    assert one is not None
    return (one.header, one.tasks, one.unmet) == (other.header, other.tasks, other.unmet)


async def test_a_workflow_is_read_as_it_was_written(store: Store) -> None:
    play = Play(TODO)
    play.succeed("code")
    play.give(Finished("test", red_tests(play.dispatch("test"))))
    play.give(Finished("test.fix1", failed(play.dispatch("test.fix1"))))
    assignment = await saved(store, play)
    assert same(await store.load("wf-1"), play.workflow)
    assert [same(one, play.workflow) for one in await opened(store, assignment)] == [True]


async def test_what_a_repository_says_is_kept_with_its_workflow(store: Store) -> None:
    said = RepositorySettings(test="pytest -q", protected=("migrations/", "\u00e9"), budget_usd=0.5)
    play = Play(TODO)
    play.workflow.header = play.workflow.header._replace(base_commit="a" * 40, repository=said)
    await saved(store, play)
    read = await store.load("wf-1")
    assert same(read, play.workflow)
    assert read is not None
    assert read.header.repository == said


async def test_changes_replace_what_was_there(store: Store) -> None:
    play = Play(TODO)
    assignment = await saved(store, play)
    play.succeed("code")
    play.give(Finished("test", red_tests(play.dispatch("test"))))
    await store.commit(cycle_added(play), assignment)
    assert same(await store.load("wf-1"), play.workflow)


async def test_ended_workflows_are_not_loaded_with_the_open_ones(store: Store) -> None:
    play = Play(plan(item("a", max_retries=0)))
    play.give(Finished("a", failed(play.dispatch("a"))))
    assignment = await saved(store, play)
    assert await opened(store, assignment) == []


async def test_a_batch_is_written_whole_or_not_at_all(store: Store, database: Database) -> None:  # I2
    play = Play(TODO)
    assignment = await saved(store, play)
    batch = Batch(now=1.0, shards={0})
    batch.journal.append(("wf-1", TaskDispatched("code", 1, "d1")))
    batch.outbox += [OutboxEntry("d1", OutboxKind.REF, "wf-1", "code")] * 2
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await store.commit(batch, assignment)
    assert await store.load_outbox(assignment) == []
    assert await WorkflowClient(database).events("wf-1") == []


async def test_an_owner_that_was_replaced_writes_nothing(store: Store) -> None:  # I3
    play = Play(TODO)
    old = await saved(store, play)
    await everything(store, "somebody else")
    batch = Batch(now=1.0, shards={shard_of("wf-1")})
    batch.headers["wf-1"] = play.workflow.header._replace(reason="written by a ghost")
    with pytest.raises(OwnershipLost):
        await store.commit(batch, old)
    loaded = await store.load("wf-1")
    assert loaded is not None
    assert loaded.header.reason == ""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_an_owner_that_is_replaced_while_its_commit_waits_writes_nothing(
    store: Store, database_url: str
) -> None:  # I3
    play = Play(TODO)
    old = await saved(store, play)
    batch = Batch(now=1.0, shards={play.workflow.header.shard})
    batch.headers["wf-1"] = play.workflow.header._replace(reason="written by a ghost")
    with psycopg.connect(database_url.replace("+psycopg", "")) as another:
        another.execute("UPDATE shards SET epoch = epoch + 1")
        commit = asyncio.create_task(store.commit(batch, old))
        await asyncio.sleep(0.2)
        assert not commit.done(), "it did not wait for the shard"
    with pytest.raises(OwnershipLost):
        await commit
    loaded = await store.load("wf-1")
    assert loaded is not None
    assert loaded.header.reason == ""


async def test_an_owner_writes_to_its_own_shards_only(store: Store) -> None:  # I3
    assignment = await everything(store)
    part = ShardAssignment({shard: epoch for shard, epoch in assignment.epochs.items() if shard < 32})
    await store.commit(Batch(now=1.0, shards={0, 31}), part)
    with pytest.raises(OwnershipLost):
        await store.commit(Batch(now=1.0, shards={31, 32}), part)


async def test_each_owner_sees_its_own_shards_only(store: Store, database: Database) -> None:
    play = Play(plan(item("a")))
    assignment = await saved(store, play)
    await WorkflowClient(database).cancel("wf-1", "me")
    row = {"command_id": "old", "kind": "cancel", "workflow_id": "wf-1", "body": "{}", "created_at": 0.0}
    await database.write(lambda connection: connection.execute(insert(commands).values(**row)))
    await store.commit(
        Batch(now=1.0, outbox=[OutboxEntry("d1", OutboxKind.DISPATCH, "wf-1", "a")]), assignment
    )
    home = shard_of("wf-1")
    mine = ShardAssignment({home: assignment.epochs[home]})
    others = ShardAssignment({shard: epoch for shard, epoch in assignment.epochs.items() if shard != home})

    async def seen(part: ShardAssignment) -> tuple[int, int, int]:
        loaded, effects = await opened(store, part), await store.load_outbox(part)
        return len(loaded), len(effects), len(await store.waiting_commands(part))

    # The test's workflow was put into shard 0 by hand.
    assert await seen(mine) == (int(home == 0), 1, 2)
    assert await seen(others) == (int(home != 0), 0, 0)


async def test_of_several_that_want_the_same_shards_one_gets_each(
    database_url: str, database: Database
) -> None:  # I3
    stores = [Store(database), *(Store(open_database(database_url)) for _ in range(3))]
    roll = await stores[0].ownership.renew(OrchestratorEntry("first", "here", 1, 0.0), "")
    seen = {row.shard: row.epoch for row in roll.shards}
    won = await asyncio.gather(
        *(one.ownership.transfer_shards(f"owner-{n}", seen, ()) for n, one in enumerate(stores))
    )
    assert sorted(shard for each in won for shard in each) == sorted(seen)
    for one in stores[1:]:
        await one.close()


async def test_an_owner_that_leaves_gives_back_what_it_held(store: Store) -> None:
    assignment = await everything(store)
    mine = OrchestratorEntry("me", "here", 1, 0.0)
    assert (await store.ownership.renew(mine, "")).held_by("me") == assignment.epochs
    await store.ownership.leave("me")
    roll = await store.ownership.renew(OrchestratorEntry("other", "here", 1, 0.0), "")
    assert set(roll.renewals) == {"other"}
    assert {row.owner for row in roll.shards} == {None}


async def test_only_an_owner_whose_counter_stands_is_struck_off(store: Store) -> None:
    me, other = OrchestratorEntry("me", "here", 1, 0.0), OrchestratorEntry("other", "here", 2, 0.0)
    await store.ownership.renew(other, "")
    before = (await store.ownership.renew(me, "")).renewals
    await store.ownership.renew(other, "")
    await store.ownership.remove_dead({"other": before["other"]})
    now = (await store.ownership.renew(me, "")).renewals
    assert now["other"] == before["other"] + 1
    await store.ownership.remove_dead({"other": now["other"]})
    assert set((await store.ownership.renew(me, "")).renewals) == {"me"}


async def test_what_an_owner_waits_for_can_be_read(store: Store, database: Database) -> None:
    me, client = OrchestratorEntry("me", "here", 7, 3.0), WorkflowClient(database)
    await store.ownership.renew(me, "waiting for Redis")
    assert [(one.orchestrator_id, one.pid, one.note) for one in await client.orchestrators()] == [
        ("me", 7, "waiting for Redis")
    ]
    await store.ownership.renew(me, "")
    assert [one.note for one in await client.orchestrators()] == [""]


async def test_all_owners_may_note_the_same_worker(
    database_url: str, database: Database, store: Store
) -> None:
    others = [Store(open_database(database_url)) for _ in range(3)]
    for _ in range(3):
        workers = [WorkerView(f"w{n}", "h", 1, ("coder",), ("s",), 2, 1.0) for n in range(4)]
        await asyncio.gather(*(one.add_worker(each) for one in (store, *others) for each in workers))
        found = await WorkflowClient(database).workers()
        assert sorted(found, key=lambda one: one.worker_id) == workers
        await asyncio.gather(*(one.mark_workers_left_except(["w0"], 2.0, "gone") for one in (store, *others)))
        assert [one.worker_id for one in await WorkflowClient(database).workers()] == ["w0"]
    for one in others:
        await one.close()


async def test_outbox_entries_stay_until_they_are_settled(store: Store) -> None:
    assignment = await everything(store)
    entries = [
        OutboxEntry("d1", OutboxKind.DISPATCH, "wf", "a"),
        OutboxEntry("ref-d0", OutboxKind.REF, "wf", "b", commit_of("b")),
    ]
    await store.commit(Batch(now=1.0, outbox=list(entries)), assignment)
    assert sorted(await store.load_outbox(assignment), key=lambda entry: entry.entry_id) == entries
    await store.commit(Batch(now=2.0, delivered=["d1"]), assignment)
    assert [entry.entry_id for entry in await store.load_outbox(assignment)] == ["ref-d0"]


async def test_dispatches_that_share_a_row_stay_until_the_last_is_settled(store: Store) -> None:
    assignment = await everything(store)
    entries = [OutboxEntry(f"d{n}", OutboxKind.DISPATCH, "wf", "a") for n in range(3)]
    other = OutboxEntry("d3", OutboxKind.DISPATCH, "wf-1", "a")
    await store.commit(Batch(now=1.0, outbox=[*entries, other]), assignment)
    for settled, left in ((["d0", "d3"], entries), (["d0"], entries), (["d1", "d2"], [])):
        await store.commit(Batch(now=2.0, delivered=settled), assignment)
        assert await Store(store._database).load_outbox(assignment) == left, settled


async def test_what_was_settled_before_a_crash_comes_back_with_its_neighbours(store: Store) -> None:
    assignment = await everything(store)
    entries = [OutboxEntry(f"d{n}", OutboxKind.DISPATCH, "wf", "a") for n in range(3)]
    await store.commit(Batch(now=1.0, outbox=entries), assignment)
    await store.commit(Batch(now=2.0, delivered=["d0"]), assignment)
    again = Store(store._database)
    assert await again.load_outbox(assignment) == entries
    await again.commit(Batch(now=3.0, delivered=["d1", "d2"]), assignment)
    assert await again.load_outbox(assignment) == entries
    await again.commit(Batch(now=3.0, delivered=["d0", "d1", "d2"]), assignment)
    assert await again.load_outbox(assignment) == []


async def test_dead_letters_keep_the_bytes(store: Store, database: Database) -> None:  # I7
    raw = b"\xff\x00 not ours"
    await store.commit(
        Batch(now=1.0, dead_letters=[DeadLetter("agent.results.1", "no JSON", raw)]), await everything(store)
    )
    query = text("SELECT stream, reason, raw FROM dead_letters")
    found = await database.read(lambda connection: connection.execute(query).one())
    assert (found[0], found[1], bytes(found[2])) == ("agent.results.1", "no JSON", raw)


async def test_commands_are_handed_out_until_answered(store: Store, database: Database) -> None:
    client = WorkflowClient(database)
    name = await client.submit(TODO, workflow_id="wf-9")
    await client.submit(TODO, workflow_id="wf-9")
    assignment = await everything(store)
    waiting = await store.waiting_commands(assignment)
    assert [(one.kind, one.workflow_id) for one in waiting] == [("submit", name)]
    await store.commit(Batch(now=1.0, answers={waiting[0].command_id: ACCEPTED}), assignment)
    assert await store.waiting_commands(assignment) == []
    assert await client.result(waiting[0].command_id, 0.0) == ACCEPTED


async def test_events_come_in_order_and_after_a_sequence(store: Store, database: Database) -> None:
    assignment = await saved(store, Play(TODO))
    for number in range(3):
        entry = CommandRefused(str(number), "no")
        await store.commit(Batch(now=1.0, journal=[("wf-1", entry)]), assignment)
    client = WorkflowClient(database)
    found = await client.events("wf-1")
    assert [entry.data["command"] for entry in found] == ["0", "1", "2"]
    assert await client.events("wf-1", after=found[0].sequence) == found[1:]


async def test_a_beginning_of_a_name_is_enough_when_it_is_clear(store: Store, database: Database) -> None:
    await saved(store, Play(TODO))
    client = WorkflowClient(database)
    assert await client.resolve("wf") == await client.resolve(None) == "wf-1"
    for name in ("x-wf", "wf-x"):
        await client.submit(TODO, workflow_id=name)
    assert await client.resolve("wf-1") == "wf-1"
    assert await client.resolve("x") == "x-wf", "a beginning before an end"
    assert await client.resolve("-1") == "wf-1"
    with pytest.raises(InvalidInput, match="no workflow begins or ends with 'zz'"):
        await client.resolve("zz")
    with pytest.raises(InvalidInput, match="no workflow begins or ends with '%'"):
        await client.resolve("%")


async def test_many_writers_never_see_a_locked_database(database_url: str, database: Database) -> None:
    others = [open_database(database_url) for _ in range(4)]
    clients = [WorkflowClient(one) for one in (database, *others)]
    await asyncio.gather(*(client.cancel("wf", "me") for client in clients for _ in range(20)))
    store = Store(database)
    assert len(await store.waiting_commands(await everything(store), 1000)) == 100
    for one in others:
        await one.close()


def test_the_migrations_add_up_to_the_tables(database_url: str) -> None:
    upgrade(database_url)
    upgrade(database_url)
    command.check(migration_config(database_url))


async def test_a_database_is_current_at_the_newest_revision_alone(database_url: str) -> None:
    database = open_database(database_url)
    try:
        assert not await is_current(database), "no tables yet"
        upgrade(database_url, "0001")
        assert not await is_current(database)
        upgrade(database_url)
        assert await is_current(database)
    finally:
        await database.close()


def test_the_migrations_can_be_taken_back(database_url: str) -> None:
    upgrade(database_url)
    command.downgrade(migration_config(database_url), "base")
    engine = create_engine(parse_url(database_url))
    try:
        assert inspect(engine).get_table_names() == ["alembic_version"]
    finally:
        engine.dispose()
    upgrade(database_url)


async def test_what_is_stored_survives_the_way_back_and_forth(database_url: str) -> None:
    upgrade(database_url)
    play = Play(plan(item("a"), item("b", "a"), item("c", "a", requires_approval=True), item("d", "c")))
    play.succeed("a")
    play.give(Finished("b", failed(play.dispatch("b"))))
    other = Play(TODO)
    other.workflow.header = other.workflow.header._replace(workflow_id="wf-2")
    database = open_database(database_url)
    try:
        store = Store(database)
        assignment = await saved(store, play)
        await store.commit(created(other), assignment)
        await database.write(lambda one: one.execute(delete(tasks).where(tasks.c.task_id.in_(("c", "d")))))
        other.succeed("code")
        other.give(Finished("test", red_tests(other.dispatch("test"))))
        await store.commit(cycle_added(other), assignment)
        effects = [OutboxEntry(f"d{n}", OutboxKind.DISPATCH, "wf-2", "a") for n in range(2)]
        await store.commit(Batch(now=1.0, outbox=effects), assignment)
        await plans_match(store, play, other)
    finally:
        await database.close()
    command.downgrade(migration_config(database_url), "0002")
    statuses = await _execute(database_url, "SELECT task_id, status FROM tasks WHERE workflow_id = 'wf-1'")
    assert {*statuses} == {(name, task.status.value) for name, task in play.workflow.tasks.items()}
    assert await _execute(database_url, "SELECT entry_id FROM outbox ORDER BY 1") == [("d0",), ("d1",)]
    empty = "SELECT count(*) FROM tasks WHERE item = ''"
    assert await _execute(database_url, empty) == [(0,)], "the release before finds every definition"
    upgrade(database_url)
    database = open_database(database_url)
    try:
        await plans_match(Store(database), play, other)
    finally:
        await database.close()


async def test_results_of_commands_survive_the_way_back_and_forth(database_url: str) -> None:
    results = {"one": ACCEPTED, "two": CommandResult("task is 'refused: x'"), "three": None}
    upgrade(database_url)
    database = open_database(database_url)
    row = {"kind": "cancel", "workflow_id": "w", "body": "{}", "created_at": 0.0}
    try:
        rows = [{**row, "command_id": name} for name in results]
        await database.write(lambda one: one.execute(insert(commands), rows))
        answers = {name: result for name, result in results.items() if result}
        await Store(database).commit(Batch(now=1.0, answers=answers), ShardAssignment({}))
    finally:
        await database.close()
    command.downgrade(migration_config(database_url), "0003")
    assert await _execute(database_url, "SELECT command_id, answer FROM commands ORDER BY 1") == [
        ("one", "done"),
        ("three", None),
        ("two", "refused: task is 'refused: x'"),
    ]
    upgrade(database_url)
    database = open_database(database_url)
    try:
        client = WorkflowClient(database)
        assert {name: await client.result(name, 0.0) for name in results} == results
    finally:
        await database.close()


async def plans_match(store: Store, *plays: Play) -> None:
    for play in plays:
        found = await store.load(play.workflow.header.workflow_id)
        assert same(found, play.workflow)
        assert found is not None
        assert list(found.tasks) == list(play.workflow.tasks)


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
from orchestrator.storage.migrate import upgrade

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
    code = "import sys; from orchestrator.storage.migrate import upgrade; upgrade(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, url], check=True, timeout=60)


async def test_an_absent_server_is_an_outage_not_a_bug() -> None:
    away = open_database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable):
        await Store(away).load("wf-1")
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

    renewals = text("SELECT renewals FROM shards WHERE shard = 1")

    def slow(connection: Connection) -> None:
        connection.execute(text("UPDATE shards SET renewals = 7 WHERE shard = 1"))
        assert release.wait(10)

    writing = asyncio.create_task(database.write(slow, durable=True))
    assert await database.read(lambda connection: connection.execute(renewals).scalar()) == 0
    release.set()
    await writing
    assert await database.read(lambda connection: connection.execute(renewals).scalar()) == 7
    await database.close()


async def test_outcomes_keep_their_reports(store: Store) -> None:
    play = Play(plan(item("a")))
    play.give(Finished("a", outcome(play.dispatch("a"), summary="x" * 2000, backend="docker", seconds=1.5)))
    await saved(store, play)
    assert same(await store.load("wf-1"), play.workflow)


async def test_a_workflow_opened_again_twice_in_one_batch_is_stored_as_open(store: Store) -> None:
    play = Play(plan(item("a", max_retries=0), item("b", max_retries=0)))
    for name in ("a", "b"):
        play.give(Finished(name, failed(play.dispatch(name))))
    assignment = await saved(store, play)
    engine = Engine(lambda: "d-again", window=1)
    engine.adopt(play.workflow, 1.0)
    for name in ("a", "b"):
        assert engine.apply("wf-1", Retry(name, "me"), 2.0, 2.0).refused is None
    engine.dispatch_ready(2.0, 2.0)
    await store.commit(engine.flush(2.0)[0], assignment)
    assert (play.workflow.header.status.value, play.workflow.header.open_tasks) == ("running", 2)
    assert same(await store.load("wf-1"), play.workflow)


def test_every_column_of_a_batch_is_written() -> None:
    inserts = {
        workflows: writing._INSERT_WORKFLOW,
        plans: writing._INSERT_PLAN,
        tasks: writing._INSERT_TASK,
        journal: writing._INSERT_JOURNAL,
        outbox: writing._INSERT_OUTBOX,
    }
    for table, rows in inserts.items():
        assert {*rows._names} == {*table.columns.keys()} - {"sequence"}
    for rows in (writing._SET_TASK, writing._SET_DISPATCHED):
        left = {*tasks.columns.keys()} - {*rows._names, *rows._fixed}
        assert all(tasks.c[name].nullable for name in left), "what a new row lacks is empty"

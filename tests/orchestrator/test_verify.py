"""The audit of a system that works, and of one whose rows, streams and refs were tampered with."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, Executable, delete, func, insert, update

from contracts.base.errors import BusUnavailable
from contracts.bus.connect import open_message_bus
from contracts.messages.events import encode
from contracts.ports.bus import Outgoing
from orchestrator.diagnosis.verify import Violation, examine, verify_invariants
from orchestrator.storage import tables as t
from orchestrator.storage.sql.database import Database, open_database
from tests.agents.support import request_event, task_request
from tests.orchestrator.hand import STREAM, Hand, written
from tests.orchestrator.plans import item, outcome, plan
from tests.orchestrator.system import LEASE_SECONDS, System, running
from tests.support.redis_servers import PrivateRedis

NOBODY = "0" * 40


@asynccontextmanager
async def half_done(url: str, redis: PrivateRedis, folder: Path) -> AsyncIterator[tuple[System, str, str]]:
    """A workflow that ended and one whose first task is dispatched, of an owner that has stopped."""
    async with running(url, redis, folder) as system:
        hand = Hand(system.bus)
        done = await system.client.submit(plan(item("a"), item("b", "a")), workflow_id="done")
        for _ in range(2):
            delivery, request = await hand.take()
            commit = await written(system.store, request)
            await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=commit))
        await system.ended(done)
        half = await system.client.submit(plan(item("a"), item("b", "a")), workflow_id="half")
        await system.until(half, lambda view: view.tasks[0].status == "dispatched")
        await system.stop()
        yield system, done, half


async def change(database: Database, *statements: Executable) -> None:
    def body(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement)

    await database.write(body)


async def findings(system: System) -> list[Violation]:
    return await verify_invariants(system.database, system.bus, system.store, listen_seconds=0.0)


async def test_a_healthy_system_keeps_every_promise(
    database_url: str, redis: PrivateRedis, tmp_path: Path
) -> None:
    async with half_done(database_url, redis, tmp_path) as (system, _, _):
        report = await examine(system.database, system.bus, system.store, listen_seconds=0.0)
        assert report.violations == []
        assert report.checked == {"I1": 2, "I2": 4, "I3": 2, "I6": 2}


def of(workflow: str, **values: object) -> Executable:
    return update(t.workflows).where(t.workflows.c.workflow_id == workflow).values(**values)


def of_task(workflow: str, name: str, **values: object) -> Executable:
    where = (t.tasks.c.workflow_id == workflow, t.tasks.c.task_id == name)
    return update(t.tasks).where(*where).values(**values)


def journal(workflow: str, name: str, kind: str) -> Executable:
    row = {"workflow_id": workflow, "task_id": name, "at": 0.0, "kind": kind, "data": {}}
    return insert(t.journal).values(**row)


NO_SUCCESS = delete(t.journal).where(t.journal.c.kind == "task.succeeded", t.journal.c.task_id == "a")
TAMPERED: dict[str, tuple[list[Executable], set[tuple[str, str | None, str | None]]]] = {
    "a wrong count": ([of("half", open_tasks=7)], {("I1", "half", None)}),
    "an end too early": ([of("half", status="failed")], {("I1", "half", None)}),
    "no end": ([of("done", status="running")], {("I1", "done", None)}),
    "a task that waits for a stranger": (
        [update(t.plans).values(definitions=func.replace(t.plans.c.definitions, '["a"]', '["x"]'))],
        {("I1", "half", "b")},
    ),
    "a task that waits in vain": (
        [of_task("half", "a", status="failed"), of("half", open_tasks=1)],
        {("I1", "half", "b")},
    ),
    "a dispatch nobody has": (
        [delete(t.outbox), of_task("half", "a", dispatch_id="lost")],
        {("I1", "half", "a")},
    ),
    "a success too many": ([journal("done", "b", "task.succeeded")], {("I2", "done", "b")}),
    "a success without a reason": ([journal("half", "b", "task.succeeded")], {("I2", "half", "b")}),
    "one dispatch for two": (
        [of_task("done", "a", dispatch_id="x"), of_task("done", "b", dispatch_id="x")],
        {("I2", "done", "b")},
    ),
    "the wrong order": (
        [NO_SUCCESS, journal("done", "a", "task.succeeded")],
        {("I6", "done", "b")},
    ),
    "a branch elsewhere": (
        [delete(t.outbox), of_task("done", "a", commit_name=NOBODY)],
        {("I3", "done", "a")},
    ),
    "a result elsewhere": (
        [of("done", result_commit=NOBODY)],
        {("I2", "done", None)},
    ),
}


async def test_tampered_rows_are_found(redis: PrivateRedis, tmp_path: Path) -> None:
    original = tmp_path / "state.db"
    async with half_done(f"sqlite:///{original}", redis, tmp_path) as (system, _, _):
        for number, (name, (statements, expected)) in enumerate(TAMPERED.items()):
            copy = tmp_path / f"{number}.db"
            with closing(sqlite3.connect(original)) as connection:
                connection.execute("VACUUM INTO ?", (str(copy),))
            database = open_database(f"sqlite:///{copy}")
            await change(database, *statements)
            found = await verify_invariants(database, system.bus, system.store, listen_seconds=0.0)
            await database.close()
            assert {(one.promise, one.workflow_id, one.task_id) for one in found} == expected, name


async def test_a_dispatch_is_found_in_the_outbox_on_a_stream_or_in_a_heartbeat(
    redis: PrivateRedis, tmp_path: Path
) -> None:
    async with half_done(f"sqlite:///{tmp_path / 'state.db'}", redis, tmp_path) as (system, _, half):
        await change(system.database, delete(t.outbox).where(t.outbox.c.workflow_id == half))
        assert await findings(system) == []
        redis.flush()
        assert [one.task_id for one in await findings(system)] == ["a"]
        await change(system.database, of_task(half, "a", dispatch_id="d"))
        await change(
            system.database,
            insert(t.outbox).values(entry_id="d", kind="dispatch", workflow_id=half, task_id="a"),
        )
        assert await findings(system) == []


async def test_a_ready_task_that_an_idle_worker_does_not_get_is_found(
    redis: PrivateRedis, tmp_path: Path
) -> None:
    async with half_done(f"sqlite:///{tmp_path / 'state.db'}", redis, tmp_path) as (system, _, half):
        await change(system.database, of_task(half, "a", status="ready", dispatch_id=None), delete(t.outbox))
        redis.flush()
        looked = await watched(system, Hand(system.bus))
        assert [(one.promise, one.task_id) for one in looked] == [("I1", "a")]
        waits = Outgoing(STREAM, encode(request_event(task_request())))
        await system.bus.publish([waits])
        assert await watched(system, Hand(system.bus)) == [], "what waits on the stream is given first"
        redis.flush()
        busy = Hand(system.bus, "busy")
        await busy.beat()
        await change(system.database, of_task(half, "a", not_before=4e9))
        assert await watched(system, busy) == []


async def test_a_branch_that_no_living_owner_moves_is_found(redis: PrivateRedis, tmp_path: Path) -> None:
    async with half_done(f"sqlite:///{tmp_path / 'state.db'}", redis, tmp_path) as (system, done, _):
        row = {"entry_id": "r1", "kind": "ref", "workflow_id": done, "task_id": "a"}
        await change(system.database, insert(t.outbox).values(**row, commit_name=NOBODY))
        assert await findings(system) == [], "nobody is there to move it"
        looked = await watched(system, Hand(system.bus))
        assert [(one.promise, one.task_id) for one in looked] == [("I2", "a")]


async def watched(system: System, hand: Hand) -> list[Violation]:
    """The audit while an owner renews and this hand says that it lives."""
    looking = asyncio.create_task(
        verify_invariants(system.database, system.bus, system.store, listen_seconds=LEASE_SECONDS)
    )
    while not looking.done():
        await hand.beat()
        await change(system.database, update(t.shards).values(renewals=t.shards.c.renewals + 1))
        await asyncio.wait([looking], timeout=0.2)
    return await looking


async def test_a_bus_that_is_away_is_an_error_not_a_wait(redis: PrivateRedis, tmp_path: Path) -> None:
    async with half_done(f"sqlite:///{tmp_path / 'state.db'}", redis, tmp_path) as (system, _, _):
        away = open_message_bus("unix:///nowhere/redis.sock")
        with pytest.raises(BusUnavailable):
            await verify_invariants(system.database, away, system.store, listen_seconds=0.0)
        await away.close()


def git(folder: Path, *args: str, stdin: str = "") -> None:
    command = ["git", f"--git-dir={folder / 'artifacts.git'}", *args]
    subprocess.run(command, input=stdin.encode(), capture_output=True, check=True)


async def test_a_moved_branch_a_lost_result_and_a_broken_object_are_found(
    redis: PrivateRedis, tmp_path: Path
) -> None:
    async with half_done(f"sqlite:///{tmp_path / 'state.db'}", redis, tmp_path) as (system, done, _):
        view = await system.client.workflow(done)
        assert view is not None
        first = view.tasks[0].commit
        assert first is not None
        git(tmp_path, "update-ref", f"refs/heads/ai/generated/{done}/b", first)
        git(tmp_path, "update-ref", f"refs/heads/ai/generated/{done}/result", first)
        await change(system.database, of(done, result_commit=first))
        found = await findings(system)
        assert {(one.promise, one.task_id) for one in found} == {("I3", "b"), ("I2", None)}
        assert any("does not hold" in one.message for one in found)
        git(tmp_path, "mktree", "--missing", stdin=f"100644 blob {NOBODY}\tx\n")
        assert ("I6", None) in {(one.promise, one.task_id) for one in await findings(system)}


async def test_metadata_that_lies_elsewhere_is_found(
    database_url: str, redis: PrivateRedis, tmp_path: Path
) -> None:  # I3
    async with half_done(database_url, redis, tmp_path) as (system, done, _):
        git(tmp_path, "update-ref", "-d", f"refs/multi-agent/meta/{done}/b")
        [found] = await findings(system)
        assert (found.promise, found.workflow_id, found.task_id) == ("I3", done, "b")
        assert found.message.startswith("its metadata is at nothing, its commit names ")

"""Backups of a database in use, and what happens after one was restored."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from contracts.base.errors import InvalidInput, NotConfigured, StoreUnavailable
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.diagnosis.verify import verify_invariants
from orchestrator.storage.backup import backup
from orchestrator.storage.migrate import upgrade
from orchestrator.storage.sql.database import open_database
from tests.orchestrator.hand import Hand, written
from tests.orchestrator.plans import item, outcome, plan
from tests.orchestrator.system import do_next, running
from tests.support.redis_servers import PrivateRedis


async def test_after_a_restore_work_goes_on_and_later_history_is_kept(
    redis: PrivateRedis, tmp_path: Path
) -> None:
    live, copy = tmp_path / "state.db", tmp_path / "copy.db"
    async with running(f"sqlite:///{live}", redis, tmp_path) as system:
        workflow = await system.client.submit(plan(item("a"), item("b", "a")))
        hand = Hand(system.bus)
        await do_next(system, hand)
        await system.until(workflow, lambda view: view.tasks[1].status == "dispatched")
        backup(f"sqlite:///{live}", copy)
        later = await do_next(system, hand)
        result = (await system.ended(workflow)).header.result_commit
        await system.stop()
        await system.database.close()

        copy.rename(live)
        redis.flush()
        system.database = open_database(f"sqlite:///{live}")
        system.client = WorkflowClient(system.database)
        view = await system.client.workflow(workflow)
        assert view is not None
        assert [task.status for task in view.tasks] == ["succeeded", "dispatched"]
        await system.start()
        delivery, request = await hand.take()
        request = request.model_copy(
            update={"data": request.data.model_copy(update={"created_at": 1_900_000_000})}
        )
        commit = await written(system.store, request)
        assert commit != later
        await hand.finish(delivery, request, outcome(request.id, worker_id=hand.name, commit=commit))
        view = await system.ended(workflow)
        assert (view.header.status, view.header.result_commit) == ("completed", commit)
        await system.stop()
        assert await verify_invariants(system.database, system.bus, system.store, listen_seconds=0.0) == []
    kept = refs(tmp_path / "artifacts.git", f"refs/superseded/{workflow}")
    assert kept == {f"b/{later}", f"result/{result}"}


def refs(repository: Path, folder: str) -> set[str]:
    command = ["git", f"--git-dir={repository}", "for-each-ref", "--format=%(refname)", folder]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name.removeprefix(f"{folder}/") for name in out.split()}


def test_a_backup_never_overwrites_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    with pytest.raises(InvalidInput, match="no database"):
        backup(url, tmp_path / "copy.db")
    upgrade(url)
    backup(url, tmp_path / "copy.db")
    with pytest.raises(InvalidInput, match="exists already"):
        backup(url, tmp_path / "copy.db")
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(StoreUnavailable, match="cannot be copied"):
        backup(f"sqlite:///{tmp_path / 'broken.db'}", tmp_path / "other.db")
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.db"]
    assert not list(tmp_path.glob(".*"))


def test_a_copy_that_is_not_sound_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "state.db"
    with closing(sqlite3.connect(source)) as live:
        for name in "ab":
            live.execute(f"CREATE TABLE {name} (value)")
            live.execute(f"CREATE INDEX of_{name} ON {name} (value)")
        live.execute("INSERT INTO a VALUES (1)")
        live.commit()
        live.execute("PRAGMA writable_schema=ON")
        live.execute(
            "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'of_b') "
            "WHERE name = 'of_a'"
        )
        live.commit()
    with pytest.raises(StoreUnavailable, match="the copy is not sound: "):
        backup(f"sqlite:///{source}", tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["state.db"]


def test_postgresql_has_a_tool_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="pg_dump"):
        backup("postgresql://nobody@127.0.0.1:1/none", tmp_path / "copy")

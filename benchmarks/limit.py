"""The hand-written limit: the least code that runs a durable graph with the same durability.

It uses the same database and Redis as this project.

One driver keeps the graph in memory. For a result it updates the task, adds a journal entry and writes the
tasks that became ready, in one transaction; they are published after the commit. In the mode `step` each
result has a transaction and a pipeline of its own; in the mode `batch` all results that have arrived share
them. One worker process only notes that a task ran, one by one or in batches in the same way.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import redis as redis_py

from benchmarks.notes import WrongResult, check_notes, note, read_notes, use_notes
from benchmarks.ours import database_for
from benchmarks.services import Processes, private_redis
from benchmarks.shapes import SHAPES, Graph, needs
from benchmarks.stopwatch import start

BATCH: Final = 256
_REQUESTS, _RESULTS, _GROUP = "requests", "results", "all"
_TABLES: Final = (
    "CREATE TABLE tasks (name TEXT PRIMARY KEY, status TEXT NOT NULL)",
    "CREATE TABLE journal (sequence {serial}, name TEXT NOT NULL, at DOUBLE PRECISION, kind TEXT NOT NULL)",
    "CREATE TABLE outbox (name TEXT PRIMARY KEY)",
)


class Ledger(Protocol):
    """The database of the graph."""

    def submit(self, names: Sequence[str]) -> None:
        """Store the graph. Like our submissions, this survives a power loss."""

    def commit(self, done: Sequence[str], ready: Sequence[str], published: Sequence[str]) -> None:
        """Store in one transaction which tasks are done, handed out, and published."""

    def counts(self) -> tuple[int, int]:
        """Return the number of tasks that are done, and of journal entries that say so."""

    def close(self) -> None: ...


class SqliteLedger:
    """SQLite with the pragmas of `orchestrator/storage/sql/database.py`.

    These are WAL, and synchronous=NORMAL for steps.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        for table in _TABLES:
            self._db.execute(table.format(serial="INTEGER PRIMARY KEY"))

    def submit(self, names: Sequence[str]) -> None:
        self._db.execute("PRAGMA synchronous=FULL")
        with self._transaction():
            self._db.executemany("INSERT INTO tasks VALUES (?, 'waiting')", [(name,) for name in names])
        self._db.execute("PRAGMA synchronous=NORMAL")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        yield
        self._db.execute("COMMIT")

    def commit(self, done: Sequence[str], ready: Sequence[str], published: Sequence[str]) -> None:
        now, many = time.time(), self._db.executemany
        with self._transaction():
            many("UPDATE tasks SET status='done' WHERE name=?", [(name,) for name in done])
            many("UPDATE tasks SET status='out' WHERE name=?", [(name,) for name in ready])
            rows = [(name, now, "done") for name in done] + [(name, now, "out") for name in ready]
            many("INSERT INTO journal (name, at, kind) VALUES (?, ?, ?)", rows)
            many("INSERT INTO outbox VALUES (?)", [(name,) for name in ready])
            many("DELETE FROM outbox WHERE name=?", [(name,) for name in published])

    def counts(self) -> tuple[int, int]:
        tasks = self._db.execute("SELECT count(*) FROM tasks WHERE status='done'").fetchone()[0]
        return tasks, self._db.execute("SELECT count(*) FROM journal WHERE kind='done'").fetchone()[0]

    def close(self) -> None:
        self._db.close()


class PostgresLedger:
    """PostgreSQL with the same settings as for ours (`multi_agent/chaos/services/postgres.py`)."""

    def __init__(self, url: str) -> None:
        import psycopg  # noqa: PLC0415 - an extra

        self._db = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))
        for table in _TABLES:
            self._db.execute(table.format(serial="BIGSERIAL PRIMARY KEY").encode())
        self._db.commit()

    def submit(self, names: Sequence[str]) -> None:
        with self._db.cursor() as cursor:
            cursor.executemany("INSERT INTO tasks VALUES (%s, 'waiting')", [(name,) for name in names])
        self._db.commit()

    def commit(self, done: Sequence[str], ready: Sequence[str], published: Sequence[str]) -> None:
        now = time.time()
        rows = [(name, now, "done") for name in done] + [(name, now, "out") for name in ready]
        with self._db.pipeline(), self._db.cursor() as cursor:
            update = "UPDATE tasks SET status=%s WHERE name = ANY(%s)"
            cursor.execute(update, ("done", list(done)))
            cursor.execute(update, ("out", list(ready)))
            cursor.executemany("INSERT INTO journal (name, at, kind) VALUES (%s, %s, %s)", rows)
            cursor.executemany("INSERT INTO outbox VALUES (%s)", [(name,) for name in ready])
            cursor.execute("DELETE FROM outbox WHERE name = ANY(%s)", (list(published),))
            self._db.commit()

    def counts(self) -> tuple[int, int]:
        query = "SELECT (SELECT count(*) FROM tasks WHERE status='done'), "
        found = self._db.execute(
            (query + "(SELECT count(*) FROM journal WHERE kind='done')").encode()
        ).fetchone()
        return (int(found[0]), int(found[1])) if found else (0, 0)

    def close(self) -> None:
        self._db.close()


class Driver:
    """Hands out the tasks of a graph and applies their results."""

    def __init__(
        self, ledger: Ledger, client: redis_py.Redis, graph: Graph, batch: int, payload: str
    ) -> None:
        self._ledger = ledger
        self._redis = client
        self._batch = batch
        self._payload = payload
        self._unmet = {name: len(before) for name, before in graph.items()}
        self._children: dict[str, list[str]] = {name: [] for name in graph}
        for name, before in graph.items():
            for one in before:
                self._children[one].append(name)

    def run(self, seconds: float) -> None:
        """Run until every task is done. Raises TimeoutError."""
        left, deadline = len(self._unmet), time.monotonic() + seconds
        published = self._step([], [name for name, count in self._unmet.items() if not count], [])
        while left:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} tasks are left after {seconds:g} s")
            for entries in self._results():
                ids = [entry_id for entry_id, _ in entries]
                done = [json.loads(fields[b"d"])["name"] for _, fields in entries]
                published = self._step(done, [one for name in done for one in self._ready(name)], published)
                pipe = self._redis.pipeline(transaction=False)
                pipe.xack(_RESULTS, _GROUP, *ids)
                pipe.xdel(_RESULTS, *ids)
                pipe.execute()
                left -= len(done)

    def _results(self) -> Iterator[list[Any]]:
        found: Any = self._redis.xreadgroup(_GROUP, "driver", {_RESULTS: ">"}, count=self._batch, block=1000)
        for _, entries in found:
            yield entries

    def _ready(self, done: str) -> Iterator[str]:
        for child in self._children[done]:
            self._unmet[child] -= 1
            if not self._unmet[child]:
                yield child

    def _step(self, done: list[str], ready: list[str], published: list[str]) -> list[str]:
        self._ledger.commit(done, ready, published)
        if ready:
            pipe = self._redis.pipeline(transaction=False)
            for name in ready:
                pipe.xadd(_REQUESTS, {"d": json.dumps({"name": name, "payload": self._payload})})
            pipe.execute()
        return ready


async def dag(job: dict[str, Any], folder: Path) -> dict[str, float]:
    """Measure tasks per second.

    Job: `shape`, `size`, `mode` (step, batch), `database`, `payload` (bytes), `seconds` (at most).
    """
    graph = needs(SHAPES[job["shape"]](job["size"]))
    notes = use_notes(folder)
    batch = BATCH if job["mode"] == "batch" else 1
    async with private_redis(folder) as server, database_for(job.get("database", "sqlite")) as url:
        client = redis_py.Redis(unix_socket_path=str(server.socket))
        for stream in (_REQUESTS, _RESULTS):
            client.xgroup_create(stream, _GROUP, "0", mkstream=True)
        processes = Processes(folder)
        processes.start("worker", ["python", "-m", "benchmarks.limit", str(server.socket), str(batch)])
        try:
            _warm_up(client)
            notes.write_text("")
            ledger = PostgresLedger(url) if url else SqliteLedger(folder / "limit.db")
            driver = Driver(ledger, client, graph, batch, "x" * job.get("payload", 0))
            began = start()
            ledger.submit(list(graph))
            driver.run(job.get("seconds", 120))
            took = time.monotonic() - began
        finally:
            await processes.stop()
        if ledger.counts() != (len(graph), len(graph)):
            raise WrongResult(f"stored as done: {ledger.counts()} of {len(graph)}")
        ledger.close()
        client.close()
    check_notes(read_notes(notes), graph)
    return {"value": len(graph) / took, "seconds": took}


def _warm_up(client: redis_py.Redis) -> None:
    """Send one task through the worker."""
    client.xadd(_REQUESTS, {"d": json.dumps({"name": "warm", "payload": ""})})
    found: Any = client.xreadgroup(_GROUP, "driver", {_RESULTS: ">"}, count=1, block=30_000)
    if not found:
        raise TimeoutError("the worker does not answer")
    client.xack(_RESULTS, _GROUP, found[0][1][0][0])


def work(path: str, batch: int) -> None:
    """Run the worker's loop until a signal ends the process."""
    client = redis_py.Redis(unix_socket_path=path)
    while True:
        found: Any = client.xreadgroup(_GROUP, "worker", {_REQUESTS: ">"}, count=batch, block=10_000)
        for _, entries in found:
            pipe = client.pipeline(transaction=False)
            for _, fields in entries:
                name = json.loads(fields[b"d"])["name"]
                note(name)
                pipe.xadd(_RESULTS, {"d": json.dumps({"name": name, "status": "succeeded"})})
            ids = [entry_id for entry_id, _ in entries]
            pipe.xack(_REQUESTS, _GROUP, *ids)
            pipe.xdel(_REQUESTS, *ids)
            pipe.execute()


if __name__ == "__main__":
    import sys

    work(sys.argv[1], int(sys.argv[2]))

"""Transactions on SQLite and PostgreSQL; a transaction's body is a plain function of a connection."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from contracts.base.errors import NotConfigured
from orchestrator.storage.sql.transactions import DRIVER_ERRORS, Body, T, sqlite_driver, translated
from orchestrator.storage.tables import REVISION

BUSY_SECONDS = 10.0
_TOGETHER = 64
_CACHE_KB = 65_536
_LOG_PAGES = 4_000
"""Pages of 4 KB: at this length the log is written back to the database, which waits for the disk."""

_REVISION = text("SELECT version_num FROM alembic_version")


class Database(Protocol):
    """Runs transactions. Raises StoreUnavailable when the server is away or a commit may have happened."""

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        """Run `body` in one read-write transaction. `durable` survives power loss, not only kill -9."""

    async def read(self, body: Body[T]) -> T:
        """Run `body` in one read-only snapshot."""

    async def close(self) -> None: ...


def open_database(url: str) -> Database:
    """`sqlite:///PATH` or `postgresql://...` (the driver is psycopg). Raises NotConfigured for others."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteDatabase(Path(str(parsed.database)))
    from orchestrator.storage.sql.postgres import PostgresDatabase  # noqa: PLC0415 - an extra

    return PostgresDatabase(parsed)


async def is_current(database: Database) -> bool:
    """Whether the database is at the revision of `orchestrator.storage.tables`. Raises StoreUnavailable."""
    try:
        found = await database.read(lambda connection: connection.execute(_REVISION).scalars().all())
    except NotConfigured:
        return False  # no tables yet; the upgrade reports any other cause
    return list(found) == [REVISION]


def parse_url(url: str) -> URL:
    """Parse the URL of a database. Raises NotConfigured as `open_database` does."""
    usable = "DATABASE_URL must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise NotConfigured(f"the URL of the database cannot be read; {usable}") from None
    name = parsed.get_backend_name()
    if name == "postgresql":
        if find_spec("psycopg") is None:
            raise NotConfigured("PostgreSQL needs: pip install 'multi-agent[postgres]'")
        return parsed.set(drivername="postgresql+psycopg")
    if name == "sqlite":
        # SQLAlchemy before 2.1 leaves the path as it is written in the URL.
        path = unquote(url.partition(":///")[2].partition("?")[0])
        if path and path != ":memory:":
            return URL.create("sqlite", database=path)
    raise NotConfigured(f"the database {str(parsed)!r} is not supported; {usable}")


def place_of(url: URL) -> str:
    """What `translated` calls the place of a database: a path, or the setting that has the URL."""
    return str(url.database) if url.get_backend_name() == "sqlite" else "DATABASE_URL"


@dataclass(slots=True)
class _Write:
    """A body that waits for its turn, and the future of its result."""

    body: Body[Any]
    durable: bool
    done: Future[Any]


class SqliteDatabase:
    """A connection and a thread for reading, one of each for writing, and a connection for quick writes.

    A write that need not survive power loss does not wait for the disk, except when the log is written back.
    While no other writer holds the database, it runs in the calling thread: the way to another thread and
    back would take longer than the write. All other writes go to the writing thread, where those that arrive
    during a transaction share the next one.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._writer = _sqlite_engine(path, "BEGIN IMMEDIATE")
        self._reader = _sqlite_engine(path, "BEGIN")
        self._quick = _sqlite_engine(path, None, busy_seconds=0.0)
        self._quick_connection: Connection | None = None
        self._durable = False
        self._waiting: deque[_Write] = deque()
        self._write_thread = ThreadPoolExecutor(1, "sqlite-write")
        self._read_thread = ThreadPoolExecutor(1, "sqlite-read")

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        """See Database.write; durable commits run at synchronous=FULL, others at NORMAL."""
        if not durable and not self._waiting:
            try:
                with suppress(_OtherWriter):
                    return self._write_now(body)
            except DRIVER_ERRORS as error:
                raise translated(error, str(self._path)) from None
        done: Future[T] = Future()
        self._waiting.append(_Write(body, durable, done))
        self._write_thread.submit(self._write_waiting)
        return await self._translated(asyncio.wrap_future(done))

    def _write_now(self, body: Body[T]) -> T:
        """Raises _OtherWriter, with nothing done."""
        if self._quick_connection is None:
            self._quick_connection = self._quick.connect()
        driver = sqlite_driver(self._quick_connection)
        assert driver is not None
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise _OtherWriter from None
            raise
        try:
            result = body(self._quick_connection)
            driver.execute("COMMIT")
        except BaseException:
            driver.rollback()
            raise
        return result

    def _write_waiting(self) -> None:
        count = min(len(self._waiting), _TOGETHER)
        writes = [self._waiting.popleft() for _ in range(count)]
        writes = [write for write in writes if write.done.set_running_or_notify_cancel()]
        if not writes:
            return
        try:
            results = self._transaction(writes)
        except Exception as error:
            results = [partial(write.done.set_exception, error) for write in writes]
        for set_result in results:
            set_result()

    def _transaction(self, writes: list[_Write]) -> list[Callable[[], None]]:
        """One transaction for all; the calls that set the result of each."""
        durable = any(write.durable for write in writes)
        with self._writer.connect() as connection:
            if durable is not self._durable and (driver := sqlite_driver(connection)):
                driver.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                self._durable = durable
            with connection.begin():
                if len(writes) == 1:
                    return [partial(writes[0].done.set_result, writes[0].body(connection))]
                return [_one_of_many(connection, write) for write in writes]

    async def read(self, body: Body[T]) -> T:
        """See Database.read."""

        def run() -> T:
            with self._reader.begin() as connection:
                return body(connection)

        return await self._translated(asyncio.get_running_loop().run_in_executor(self._read_thread, run))

    async def close(self) -> None:
        """Finish what runs and close both connections, each in its own thread."""
        for thread, engine in ((self._write_thread, self._writer), (self._read_thread, self._reader)):
            await asyncio.get_running_loop().run_in_executor(thread, engine.dispose)
            thread.shutdown()
        if self._quick_connection is not None:
            self._quick_connection.close()
        self._quick.dispose()

    async def _translated(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except DRIVER_ERRORS as error:
            raise translated(error, str(self._path)) from None


def _one_of_many(connection: Connection, write: _Write) -> Callable[[], None]:
    """Run one body; one that fails rolls back only its own changes."""
    try:
        with connection.begin_nested():
            return partial(write.done.set_result, write.body(connection))
    except Exception as error:
        return partial(write.done.set_exception, error)


def upsert(connection: Connection, table: Table, row: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Insert a row, or make these changes to the one with the same primary key; safe when several do so."""
    keys = list(table.primary_key.columns)
    if connection.dialect.name == "sqlite":
        connection.execute(
            sqlite.insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=changes)
        )
    else:
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - slow to import, and every command imports this module

        connection.execute(
            postgresql.insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=changes)
        )


def insert_missing(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert a row unless one with the same primary key is there; safe when several do so."""
    keys = list(table.primary_key.columns)
    if connection.dialect.name == "sqlite":
        connection.execute(sqlite.insert(table).values(**row).on_conflict_do_nothing(index_elements=keys))
    else:
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - as above

        connection.execute(postgresql.insert(table).values(**row).on_conflict_do_nothing(index_elements=keys))


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite's own busy timeout does not cover the switch."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class _OtherWriter(Exception):
    """Another connection writes to the database at the moment."""


def _sqlite_engine(path: Path, begin: str | None, busy_seconds: float = BUSY_SECONDS) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=StaticPool,
        connect_args={"timeout": busy_seconds, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        # A deferred transaction that turns into a writer fails at once with BUSY_SNAPSHOT.
        if begin:
            connection.exec_driver_sql(begin)

    return engine

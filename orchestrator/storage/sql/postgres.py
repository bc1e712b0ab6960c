"""Transactions on PostgreSQL, through SQLAlchemy's asynchronous engine and psycopg."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

from contracts.base.errors import NotConfigured
from orchestrator.storage.sql.transactions import Body, ConditionFailed, T, translated

_IDLE_SECONDS: Final = 5
_POOLER: Final = "pooler"


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Send the statements of the block together; the error of one is raised at the end of the block.

    After an error or a cancellation the connection is closed: it is unknown which answers are still to come,
    and the driver relies on statements that it meant to prepare behind the one that failed.
    """
    block = _driver(connection).pipeline()
    pipeline: psycopg.AsyncPipeline | None = None
    try:
        pipeline = await_only(block.__aenter__())
        try:
            yield
        except BaseException as error:
            await_only(block.__aexit__(type(error), error, error.__traceback__))
            raise
        await_only(block.__aexit__(None, None, None))
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and pipeline is not None:
            pipeline.result_queue.clear()  # or the driver looks for them on a closed connection
        connection.invalidate()
        if isinstance(error, psycopg.errors.DivisionByZero):
            raise ConditionFailed from None
        raise


def send(connection: Connection, statement: str, values: Sequence[Any]) -> None:
    """Execute within a pipeline, by the driver: SQLAlchemy would double the cost, and read the answers.

    A sync follows each statement. Without it a server that waits for more of a pipeline does not count as
    idle, and a process that is stopped there would keep its locks. The driver's own sync waits for the
    answers, so this uses two of its private names; pyproject.toml caps its version for that.
    """
    driver = _driver(connection)
    await_only(driver.execute(statement.encode(), values))
    pipeline = driver._pipeline
    assert pipeline is not None
    pipeline._enqueue_sync()
    await_only(driver.wait(pipeline._communicate_gen()))


def commit(connection: Connection) -> None:
    """Commit within a pipeline; SQLAlchemy's own commit has nothing left to do then."""
    await_only(_driver(connection).commit())


def _driver(connection: Connection) -> psycopg.AsyncConnection[Any]:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    return driver


def require_utf8(engine: Engine) -> None:
    """Refuse a database of another encoding, as NotConfigured: the driver returns bytes from SQL_ASCII."""

    # Before SQLAlchemy's own first look at the server, which fails on bytes.
    @event.listens_for(engine, "connect", insert=True)
    def check(connection: Any, _record: object) -> None:
        info = getattr(connection, "driver_connection", connection).info
        encoding = info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise NotConfigured(
                f"database {info.dbname!r} has the encoding {encoding}, which cannot hold every text; make "
                "another with CREATE DATABASE name TEMPLATE template0 ENCODING 'UTF8'"
            )


def suit_pooler(engine: Engine) -> None:
    """Find out for each connection whether a pooler, such as PgBouncer, stands before the server.

    Behind one a session may be given another server process with each transaction, so that statements are
    not prepared there. Start-up options are used nowhere, as most poolers refuse them.
    """

    @event.listens_for(engine, "connect", insert=True)
    def check(connection: Any, record: Any) -> None:
        driver = getattr(connection, "driver_connection", connection)
        # A pooler makes up the process id that it tells.
        record.info[_POOLER] = _outside_transaction(connection, "SELECT pg_backend_pid()") != (
            driver.info.backend_pid
        )
        if record.info[_POOLER]:
            driver.prepare_threshold = None


def _limit_idle(engine: Engine) -> None:
    """Let the server end transactions that stand still, whose locks would block other processes."""

    @event.listens_for(engine, "connect")
    def for_session(connection: Any, record: Any) -> None:
        if not record.info[_POOLER]:
            _outside_transaction(connection, f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")

    @event.listens_for(engine, "begin")
    def for_transaction(connection: Connection) -> None:
        if connection.info[_POOLER]:
            connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")


def _outside_transaction(connection: Any, statement: str) -> Any:
    """Execute a statement on a new connection of the driver; the first value of what it returns."""
    connection.autocommit = True
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        found = cursor.fetchone()[0] if cursor.description else None
    connection.autocommit = False
    return found


class PostgresDatabase:
    """Asynchronous connections; bodies run as they are, in SQLAlchemy's greenlet.

    A connection only reads or only writes. Switching it for a transaction would take several steps, and a
    caller that is cancelled between two of them would leave it switched for the next one.
    """

    def __init__(self, url: URL) -> None:
        self._writer = create_async_engine(url, pool_size=4)
        self._reader = create_async_engine(url, pool_size=4, isolation_level="REPEATABLE READ")
        for engine in (self._writer, self._reader):
            suit_pooler(engine.sync_engine)
            require_utf8(engine.sync_engine)
            if "options" not in url.query:
                _limit_idle(engine.sync_engine)

        @event.listens_for(self._reader.sync_engine, "connect")
        def configure(connection: Any, _record: object) -> None:
            connection.set_read_only(True)

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        """See Database.write; every commit waits for the server's log."""
        return await _run(self._writer, body)

    async def read(self, body: Body[T]) -> T:
        """See Database.read."""
        return await _run(self._reader, body)

    async def close(self) -> None:
        """Close both pools."""
        await self._writer.dispose()
        await self._reader.dispose()


async def _run(engine: AsyncEngine, body: Body[T]) -> T:
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(body)
    except SQLAlchemyError as error:
        raise _translated(engine, error) from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise _translated(engine, OperationalError(None, None, error)) from None


def _translated(engine: AsyncEngine, error: Exception) -> Exception:
    return translated(error, "DATABASE_URL", engine.url.username)

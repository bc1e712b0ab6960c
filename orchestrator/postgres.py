"""Transactions on PostgreSQL, through SQLAlchemy's asynchronous engine and psycopg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from orchestrator.database import Body, T, translated

_IDLE_SECONDS = 5


@contextmanager
def pipelined(connection: Connection) -> Iterator[None]:
    """Statements of the block go out together; what one of them meets is raised at its end."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    pipeline = driver.pipeline()
    await_only(pipeline.__aenter__())
    try:
        yield
    except BaseException as error:
        await_only(pipeline.__aexit__(type(error), error, error.__traceback__))
        raise
    await_only(pipeline.__aexit__(None, None, None))


class PostgresDatabase:
    """Asynchronous connections; bodies run as they are, in SQLAlchemy's greenlet."""

    def __init__(self, url: URL) -> None:
        # A process that is stopped in the middle of a transaction must not hold up the others with its locks.
        arguments = {"options": f"-c idle_in_transaction_session_timeout={_IDLE_SECONDS}s"}
        self._engine = create_async_engine(
            url, pool_size=4, connect_args={} if "options" in url.query else arguments
        )

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        """See Database.write; every commit waits for the server's log."""
        try:
            async with self._engine.begin() as connection:
                return await connection.run_sync(body)
        except SQLAlchemyError as error:
            raise translated(error) from None
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise translated(OperationalError(None, None, error)) from None

    async def read(self, body: Body[T]) -> T:
        """See Database.read."""
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                async with connection.begin():
                    return await connection.run_sync(body)
        except SQLAlchemyError as error:
            raise translated(error) from None

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

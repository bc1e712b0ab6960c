"""Transactions on PostgreSQL, through SQLAlchemy's asynchronous engine and psycopg."""

from __future__ import annotations

import psycopg  # noqa: F401 - fails here, and not at the first connection, where the extra is not installed
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from orchestrator.database import Body, T, translated


class PostgresDatabase:
    """Asynchronous connections; bodies run as they are, in SQLAlchemy's greenlet."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url, pool_size=4)

    async def write(self, body: Body[T], *, durable: bool = False) -> T:
        """See Database.write; every commit waits for the server's log."""
        try:
            async with self._engine.begin() as connection:
                return await connection.run_sync(body)
        except SQLAlchemyError as error:
            raise translated(error) from None

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

"""Much in one go: what PostgreSQL would be asked one by one otherwise. SQLite has no way to save."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection

from orchestrator.database import sqlite_driver


def in_one_go(connection: Connection) -> AbstractContextManager[None]:
    """A block of `rows_of`, and of `exec_driver_sql` without results, for which PostgreSQL is asked once, and
    once more for each `rows_of`."""
    if sqlite_driver(connection):
        return nullcontext()
    from orchestrator.postgres import pipelined  # noqa: PLC0415 - an extra

    return pipelined(connection)


def rows_of(connection: Connection, query: str, *values: Any) -> list[Any]:
    """What PostgreSQL answers to its own SQL, within a block of `in_one_go`."""
    from orchestrator.postgres import fetch  # noqa: PLC0415 - an extra

    return fetch(connection, query, values)


def commit_with_the_rest(connection: Connection) -> None:
    """At the end of a block of `in_one_go`: PostgreSQL commits with it, instead of being asked again."""
    if sqlite_driver(connection) is None:
        from orchestrator.postgres import commit  # noqa: PLC0415 - an extra

        commit(connection)

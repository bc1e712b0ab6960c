"""Much in one go: what PostgreSQL would be asked one by one otherwise. SQLite has no way to save."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection

from orchestrator.storage.sql.database import sqlite_driver


class Refused(Exception):
    """What `insist` asked for is not so; nothing of the block was done."""


def in_one_go(connection: Connection) -> AbstractContextManager[None]:
    """A block of `tell` and `insist`, for which PostgreSQL is asked once. Raises Refused at its end."""
    if sqlite_driver(connection):
        return nullcontext()
    from orchestrator.storage.sql.postgres import pipelined  # noqa: PLC0415 - an extra

    return pipelined(connection)


def tell(connection: Connection, statement: str, values: Sequence[Any]) -> None:
    """Have PostgreSQL execute its own SQL within a block of `in_one_go`."""
    from orchestrator.storage.sql.postgres import send  # noqa: PLC0415 - an extra

    send(connection, statement, values)


def insist(connection: Connection, condition: str, values: Sequence[Any]) -> None:
    """Go on only when this query of PostgreSQL's says true, without waiting for its answer."""
    # The error of a division by zero ends the transaction on the server, whatever is on its way already.
    tell(connection, f"SELECT 1 / ({condition})::int", values)


def commit_with_the_rest(connection: Connection) -> None:
    """At the end of a block of `in_one_go`: PostgreSQL commits with it, instead of being asked again."""
    if sqlite_driver(connection) is None:
        from orchestrator.storage.sql.postgres import commit  # noqa: PLC0415 - an extra

        commit(connection)

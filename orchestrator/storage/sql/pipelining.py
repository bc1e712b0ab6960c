"""Much in one go: what PostgreSQL would be asked one by one otherwise. SQLite has no way to save."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection

from orchestrator.storage.sql.database import sqlite_driver


class ConditionFailed(Exception):
    """What `require` asked for is not so; nothing of the block was done."""


def pipelined_block(connection: Connection) -> AbstractContextManager[None]:
    """A block of `send_statement` and `require` in one round trip. Raises ConditionFailed at its end."""
    if sqlite_driver(connection):
        return nullcontext()
    from orchestrator.storage.sql.postgres import pipelined  # noqa: PLC0415 - an extra

    return pipelined(connection)


def send_statement(connection: Connection, statement: str, values: Sequence[Any]) -> None:
    """Have PostgreSQL execute its own SQL within a block of `pipelined_block`."""
    from orchestrator.storage.sql.postgres import send  # noqa: PLC0415 - an extra

    send(connection, statement, values)


def require(connection: Connection, condition: str, values: Sequence[Any]) -> None:
    """Go on only when this query of PostgreSQL's says true, without waiting for its answer."""
    # The error of a division by zero ends the transaction on the server, whatever is on its way already.
    send_statement(connection, f"SELECT 1 / ({condition})::int", values)


def commit_in_pipeline(connection: Connection) -> None:
    """Commit at the end of a `pipelined_block`, in the same round trip."""
    if sqlite_driver(connection) is None:
        from orchestrator.storage.sql.postgres import commit  # noqa: PLC0415 - an extra

        commit(connection)

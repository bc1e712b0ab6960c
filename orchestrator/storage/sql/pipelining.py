"""Several statements in one round trip to PostgreSQL. SQLite runs in the process and needs none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection

from orchestrator.storage.sql.transactions import sqlite_driver


def pipelined_block(connection: Connection) -> AbstractContextManager[None]:
    """Run a block of `send_statement` and `require` in one round trip. Raises ConditionFailed at its end."""
    if sqlite_driver(connection):
        return nullcontext()
    from orchestrator.storage.sql.postgres import pipelined  # noqa: PLC0415 - an extra

    return pipelined(connection)


def send_statement(connection: Connection, statement: str, values: Sequence[Any]) -> None:
    """Execute SQL of PostgreSQL within a `pipelined_block`."""
    from orchestrator.storage.sql.postgres import send  # noqa: PLC0415 - an extra

    send(connection, statement, values)


def require(connection: Connection, condition: str, values: Sequence[Any]) -> None:
    """Fail the block unless this condition, in SQL of PostgreSQL, is true; does not wait for the answer."""
    # A division by zero ends the transaction on the server, whatever was sent behind it.
    send_statement(connection, f"SELECT 1 / ({condition})::int", values)


def commit_in_pipeline(connection: Connection) -> None:
    """Commit at the end of a `pipelined_block`, in the same round trip."""
    if sqlite_driver(connection) is None:
        from orchestrator.storage.sql.postgres import commit  # noqa: PLC0415 - an extra

        commit(connection)

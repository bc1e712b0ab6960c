"""What the transactions of both databases share: the type of their bodies, the driver, and their errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from contracts.base.errors import NotConfigured, StoreUnavailable

T = TypeVar("T")
Body = Callable[[Connection], T]
"""What runs in a transaction."""


class ConditionFailed(Exception):
    """A condition of a pipelined block is false; nothing of the block was done."""


def translated(error: SQLAlchemyError | sqlite3.OperationalError) -> Exception:
    """StoreUnavailable for an outage, NotConfigured for an unusable database; any other error as it is."""
    if isinstance(error, sqlite3.OperationalError):
        error = OperationalError(None, None, error)
    cause = getattr(error, "orig", None)
    if "file is not a database" in str(cause):
        return NotConfigured("the file is no SQLite database; name another one, or move it away")
    if type(cause).__name__ == "UndefinedTable" or "no such table" in str(cause):
        return NotConfigured("the database has no tables yet; make them with `multi-agent db upgrade`")
    if isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        return StoreUnavailable(f"the database does not answer: {getattr(error, 'orig', error)}")
    return error


def sqlite_driver(connection: Connection) -> sqlite3.Connection | None:
    """The driver's own connection, for statements on the hot path; None on PostgreSQL."""
    driver = connection.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None

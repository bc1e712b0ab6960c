"""What the transactions of both databases share: the type of their bodies, the driver, and their errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from contracts.base.errors import NotConfigured, StoreDamaged, StoreUnavailable
from contracts.base.processes.command_lines import command_line

T = TypeVar("T")

DRIVER_ERRORS = (SQLAlchemyError, sqlite3.DatabaseError, UnicodeDecodeError)
"""What `translated` understands; SQLite's driver may fail to decode the text of a damaged file."""

Body = Callable[[Connection], T]
"""What runs in a transaction."""

_DAMAGED_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_TOOBIG})
"""SQLite's; nothing so big as to be refused is ever written, so it is a length that was damaged."""

_DAMAGED_STATES = frozenset({"XX001", "XX002"})
"""PostgreSQL's data_corrupted and index_corrupted."""

_SALVAGE = "Restore a backup, or ask who runs the server; REINDEX mends an index."
_SALVAGE_SQLITE = (
    "Stop what serves it and keep a copy of its folder. Then put a backup in its place (`{backup}` makes\n"
    "them), or salvage what can be read: sqlite3 state.db .recover | sqlite3 new.db"
)


class ConditionFailed(Exception):
    """A condition of a pipelined block is false; nothing of the block was done."""


def translated(error: Exception) -> Exception:
    """What the error says about the database; any other error as it is.

    StoreUnavailable for an outage, NotConfigured for an unusable database, StoreDamaged for broken bytes.
    """
    if isinstance(error, UnicodeDecodeError):
        return damaged(error, sqlite=True)  # PostgreSQL refuses text that is not in its encoding
    if isinstance(error, sqlite3.OperationalError):
        error = OperationalError(None, None, error)
    cause = getattr(error, "orig", error)
    if "file is not a database" in str(cause):
        return NotConfigured("the file is no SQLite database; name another one, or move it away")
    if _is_damage(cause):
        return damaged(cause, sqlite=isinstance(cause, sqlite3.Error))
    if type(cause).__name__ == "UndefinedTable" or "no such table" in str(cause):
        return NotConfigured(
            f"the database has no tables yet; make them with `{command_line('db', 'upgrade')}`"
        )
    if isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        return StoreUnavailable(f"the database does not answer: {cause}")
    return error


def damaged(what: object, *, sqlite: bool) -> StoreDamaged:
    """The error for a database with broken bytes, and what to do about it."""
    salvage = _SALVAGE_SQLITE.format(backup=command_line("db", "backup", "FILE")) if sqlite else _SALVAGE
    return StoreDamaged(f"the database is damaged: {what}\n{salvage}")


def _is_damage(cause: Exception) -> bool:
    if isinstance(cause, sqlite3.Error):
        # The low byte is the code without its detail. The driver gives no code to errors of its own.
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code in _DAMAGED_CODES or "Could not decode to UTF-8" in str(cause)
    return getattr(cause, "sqlstate", None) in _DAMAGED_STATES


def sqlite_driver(connection: Connection) -> sqlite3.Connection | None:
    """The driver's own connection, for statements on the hot path; None on PostgreSQL."""
    driver = connection.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None

"""Whether a database's own bytes are sound."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.storage.sql.transactions import damaged


def check_soundness(connection: Connection) -> None:
    """Read a SQLite database to the end, a second for some hundred megabytes; raise StoreDamaged.

    A PostgreSQL server checks its pages itself, when its checksums are on.
    """
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise damaged(found, sqlite=True)

"""Alembic's entry point: runs the revisions in one transaction, in one process at a time."""

from __future__ import annotations

from alembic import context
from sqlalchemy import URL, Connection, create_engine, event, text

from orchestrator.storage.sql.database import BUSY_SECONDS, use_wal
from orchestrator.storage.tables import metadata

_ADVISORY_LOCK = 7_210_331_907


def _configure_sqlite(connection: Connection) -> None:
    raw = connection.connection.driver_connection
    if raw is not None:
        raw.isolation_level = None
        use_wal(raw)


def run() -> None:
    """Upgrade or downgrade the database at the URL that orchestrator/storage/migrate.py gives."""
    url: URL = context.config.attributes["url"]
    waiting = {"timeout": BUSY_SECONDS} if url.get_backend_name() == "sqlite" else {}
    engine = create_engine(url, connect_args=waiting)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "engine_connect", _configure_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    else:
        from orchestrator.storage.sql.postgres import require_utf8, suit_pooler  # noqa: PLC0415 - an extra

        suit_pooler(engine)
        require_utf8(engine)
    try:
        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
            with context.begin_transaction():
                if engine.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
                context.run_migrations()
    finally:
        engine.dispose()


run()

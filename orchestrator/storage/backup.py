"""A copy of the database while everything runs."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from contracts.base.errors import InvalidInput, NotConfigured, StoreUnavailable
from orchestrator.storage.sql.database import BUSY_SECONDS, parse_url


def backup(url: str, target: Path) -> None:
    """Write one consistent, checked copy of a SQLite database to `target`, which must not exist.

    Running processes are not stopped. `target` appears complete or not at all. Raises InvalidInput,
    NotConfigured for a database that is no SQLite file, StoreUnavailable when the copy fails or is not sound.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise NotConfigured(
            "PostgreSQL is backed up with its own tool: pg_dump --format=custom --file=FILE URL"
        )
    source = Path(str(parsed.database))
    if not source.exists():
        raise InvalidInput(f"there is no database at {source}")
    if target.exists():
        raise InvalidInput(f"{target} exists already; name another file")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _copy(source, part)
        _sync(part)
        # Unlike a rename, a link never replaces what somebody else has put there meanwhile.
        os.link(part, target)
        _sync(target.parent)
    except FileExistsError:
        raise InvalidInput(f"{target} exists already; name another file") from None
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database cannot be copied: {error}") from None
    finally:
        part.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> None:
    with (
        closing(sqlite3.connect(source, timeout=BUSY_SECONDS)) as live,
        closing(sqlite3.connect(part)) as copy,
    ):
        # In one step: a reader blocks no writer of a write-ahead log, and sees one moment.
        live.backup(copy)
        # A copy with a write-ahead log would be two files.
        copy.execute("PRAGMA journal_mode=DELETE")
        problems = [row[0] for row in copy.execute("PRAGMA integrity_check")]
    if problems != ["ok"]:
        raise StoreUnavailable(f"the copy is not sound: {problems[0]}")


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)

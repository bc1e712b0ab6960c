"""Files of SQLite that gateways keep for themselves: several may share one, and nobody else reads them."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from contracts.base.errors import NotConfigured

_BUSY_SECONDS: Final = 5.0
_WAL_BYTES: Final = 16_000_000


def open_private(path: Path, schema: str, what: str) -> sqlite3.Connection:
    """Open a file, which is made if there is none, for its owner alone. Raises NotConfigured.

    schema: statements that do nothing to a file that has it all.
    what: the file in words.
    The connection may pass from thread to thread, and be used by one at a time; it commits by itself.
    """
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        # SQLite gives the files beside it the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        return _opened(path, schema)
    except OSError as error:
        raise _unusable(what, path, error.strerror or "cannot be opened") from None
    except sqlite3.Error as error:
        raise _unusable(what, path, str(error)) from None


def _opened(path: Path, schema: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        connection.executescript(schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _unusable(what: str, path: Path, reason: str) -> NotConfigured:
    return NotConfigured(f"{what} {path} cannot be used: {reason}; move it away, or make its folder writable")

"""Keeps the logs of a data folder from growing without end."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from multi_agent.runtime.observing.log_files import EARLIER

MOST_LOG_BYTES: Final = 32 * 1024 * 1024
"""Size from which on a log is set aside; with what was set aside before, at most twice that is kept."""
ROTATE_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


def rotate_logs(folder: Path, most_bytes: int = MOST_LOG_BYTES) -> None:
    """Set aside what large logs of the folder hold, in place of what was set aside before.

    The files stay the same ones, since the processes that write to them keep them open and append. What is
    written between the last read and the cut, some microseconds, is lost. Where that cannot be done, as on a
    full disk, a log that is twice as large is emptied.
    """
    with suppress(OSError):
        for path in folder.glob("*.log"):
            if (size := path.stat().st_size) > most_bytes:
                _rotate(path, size, most_bytes)


def _rotate(path: Path, size: int, most_bytes: int) -> None:
    part, earlier = path.with_name(path.name + ".part"), path.with_name(path.name + EARLIER)
    with path.open("r+b") as log:
        try:
            with part.open("wb") as copy:
                shutil.copyfileobj(log, copy)
            part.replace(earlier)
        except OSError as error:
            part.unlink(missing_ok=True)
            _log.warning("log_not_kept", log=path.name, reason=error.strerror)
            if size < 2 * most_bytes:
                return
        log.truncate(0)

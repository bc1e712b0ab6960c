"""The end of a log, for people who ask why a process died."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from typing import Final

from contracts.messages.payloads import MAX_LOGS

LOG_LINES: Final = 40
_OWN: Final = Path("/proc/self/fd/2")


def last_lines(path: Path) -> str | None:
    """Read the end of a log: at most 40 lines and 8,000 characters, None when there is nothing to read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4 * MAX_LOGS))
            text = file.read().decode(errors="replace")
    except OSError:
        return None
    lines = text.replace("\0", "\N{REPLACEMENT CHARACTER}").splitlines()[-LOG_LINES:]
    return "\n".join(lines)[-MAX_LOGS:] or None


def own_last_lines() -> str | None:
    """Read the end of what this process logs to, where that is a file; see last_lines."""
    try:
        is_file = S_ISREG(os.fstat(2).st_mode)
    except OSError:
        return None
    return last_lines(_OWN) if is_file else None

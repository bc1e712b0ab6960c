"""Finds and kills launchers whose parent process died.

A launcher dies with its parent, and what it started dies with the launcher, but not in the first moments:
bubblewrap's child waits for ever if its parent is killed before it has released the child.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from sandbox_runner.engine import creator

_MARK: Final = b"MULTI_AGENT_SANDBOX_OWNER="


def marked() -> dict[str, str]:
    """Return the environment for a launcher. It names this process; the sandboxed program does not see it."""
    return {"LANG": "C.UTF-8", _MARK[:-1].decode(): creator.this_process()}


def end_abandoned() -> int:
    """Kill the launchers of dead processes that this user may kill; return how many. Blocking."""
    count = 0
    for pid in _processes():
        # The descriptor is opened before the check, so that another process cannot get the id in between.
        with contextlib.suppress(OSError):
            process = os.pidfd_open(pid)
            try:
                if _is_abandoned(pid):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    count += 1
            finally:
                os.close(process)
    return count


def abandoned() -> list[int]:
    """Return the process ids of what `end_abandoned` would kill. Blocking."""
    found = []
    for pid in _processes():
        with contextlib.suppress(OSError):
            if _is_abandoned(pid):
                found.append(pid)
    return found


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _is_abandoned(pid: int) -> bool:
    for line in Path("/proc", str(pid), "environ").read_bytes().split(b"\0"):
        if line.startswith(_MARK):
            return creator.is_running(line.removeprefix(_MARK).decode("ascii", "replace")) is False
    return False

"""Launchers that a dead process left behind.

A launcher dies with its parent, and what it started with the launcher, but not from the very first moment:
bubblewrap's child waits without end for a parent that is killed before it let the child go.
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
    """The environment to start a launcher in; a program in its sandbox does not see it."""
    return {"LANG": "C.UTF-8", _MARK[:-1].decode(): creator.this_process()}


def end_abandoned() -> int:
    """kill -9 of the launchers of dead processes, as far as this user may; how many they were. Blocking."""
    count = 0
    for pid in _processes():
        # Held before it is looked at, so that no other process can get its number in between.
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
    """The process ids of what `end_abandoned` would end. Blocking."""
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
            return creator.lives(line.removeprefix(_MARK).decode("ascii", "replace")) is False
    return False

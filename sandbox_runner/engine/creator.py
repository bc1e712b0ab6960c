"""Identifies the process that made a container or a control group, so that others can see whether it runs."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


def this_process() -> str:
    """Return `boot id/pid namespace/pid/start time` of this process."""
    return f"{_here()}/{os.getpid()}/{_start_time(os.getpid())}"


def is_running(process: str) -> bool | None:
    """Tell whether a process named by `this_process` runs; None if it is of another pid namespace or boot."""
    here, _, pid = process.rpartition("/")[0].rpartition("/")
    started = process.rpartition("/")[2]
    if here != _here() or not pid.isdigit():
        return None
    return _start_time(int(pid)) == started


@cache
def _here() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def _start_time(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # Field 2 is the command's name in parentheses and may hold any character; the start time is field 22.
    state, *rest = text.rpartition(")")[2].split()
    # A zombie (a dead process that its parent has not waited for yet) counts as ended.
    return "" if state in {"Z", "X"} else rest[18]

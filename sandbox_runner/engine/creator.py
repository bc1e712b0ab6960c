"""Who made a container or a control group: enough to tell later, from outside, whether he still lives."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path


def this_process() -> str:
    """`boot id/pid namespace/pid/start time` of this process."""
    return f"{_here()}/{os.getpid()}/{_start_time(os.getpid())}"


def lives(owner: str) -> bool | None:
    """Whether the process still runs; None for one of another pid namespace or boot."""
    here, _, process = owner.rpartition("/")[0].rpartition("/")
    started = owner.rpartition("/")[2]
    if here != _here() or not process.isdigit():
        return None
    return _start_time(int(process)) == started


@cache
def _here() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def _start_time(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The command's name comes second, in parentheses, and may hold anything; start time is field 22.
    state, *rest = text.rpartition(")")[2].split()
    # A killed process that nobody has waited for yet does nothing any more.
    return "" if state in {"Z", "X"} else rest[18]

"""Who made a container: enough to tell later, from outside, whether he still lives."""

from __future__ import annotations

import os
from pathlib import Path


def this_process() -> str:
    """`boot id/pid namespace/pid/start time` of this process."""
    return f"{_here()}/{os.getpid()}/{_start_time(os.getpid())}"


def is_dead(owner: str) -> bool:
    """Whether the process is known to be gone. Of another pid namespace or boot nothing is known: False."""
    here, _, process = owner.rpartition("/")[0].rpartition("/")
    started = owner.rpartition("/")[2]
    return here == _here() and process.isdigit() and _start_time(int(process)) != started


def _here() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"


def _start_time(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The command's name comes second, in parentheses, and may hold anything; start time is field 22.
    return text.rpartition(")")[2].split()[19]

"""The last walls, put up by process 1 around itself before it lays out a file or starts the program."""

from __future__ import annotations

import base64
import os
import signal
from typing import Any

from sandbox_runner.guest import linux


def shield() -> None:
    """Make process 1 out of reach: the kernel lets no signal without a handler through to it from inside."""
    if os.getpid() != 1:
        raise OSError(f"the sandbox must run as process 1, not {os.getpid()}")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    linux.set_dumpable(False)


def isolate(walls: dict[str, Any] | None) -> None:
    """Limited file systems, no capability, unprivileged user, seccomp. None: the container has done it.

    The file systems are mounted here and not by bubblewrap because its --tmpfs knows no inode limit, and
    so the filter, which forbids mounting, is loaded here too and not by its --seccomp.
    """
    if walls is None:
        return
    # With --uid bubblewrap leaves its mount namespace to an outer user namespace; a copy belongs to us.
    linux.unshare(linux.CLONE_NEWNS)
    for target, options in walls["tmpfs"]:
        linux.mount("tmpfs", target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    if walls["cpu_count"]:
        os.sched_setaffinity(0, _some_cpus(walls["cpu_count"]))
    linux.empty_bounding_set()
    if os.geteuid() == 0:
        identity = walls["identity"]
        os.setgroups([])
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
        linux.die_with_parent()
    linux.drop_capabilities()
    linux.set_dumpable(False)
    linux.load_filter(base64.b64decode(walls["filter"]))


def _some_cpus(count: int) -> set[int]:
    allowed = sorted(os.sched_getaffinity(0))
    start = int.from_bytes(os.urandom(2), "big") % len(allowed)
    return {allowed[(start + i) % len(allowed)] for i in range(min(count, len(allowed)))}

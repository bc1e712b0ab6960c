"""The last steps of isolation, which process 1 takes before it writes a file or starts the program."""

from __future__ import annotations

import base64
import os
import signal
from typing import Any

from sandbox_runner.guest import linux


def shield() -> None:
    """Protect process 1 from the program. The kernel drops signals to it from inside that have no handler."""
    if os.getpid() != 1:
        raise OSError(f"the sandbox must run as process 1, not {os.getpid()}")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    linux.set_dumpable(False)


def isolate(settings: dict[str, Any] | None) -> None:
    """Mount limited file systems, drop capabilities and root, load the seccomp filter.

    Does nothing if `settings` is None, because then the container engine has done it. The file systems are
    mounted here, because bubblewrap's --tmpfs has no inode limit. The filter is loaded here and not with
    bubblewrap's --seccomp, because it forbids mounting.
    """
    if settings is None:
        return
    # With --uid, bubblewrap's mount namespace belongs to an outer user namespace. Unsharing gives us our own.
    linux.unshare(linux.CLONE_NEWNS)
    for target, options in settings["tmpfs"]:
        linux.mount("tmpfs", target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
    if settings["cpu_count"]:
        os.sched_setaffinity(0, _some_cpus(settings["cpu_count"]))
    linux.empty_bounding_set()
    if os.geteuid() == 0:
        identity = settings["identity"]
        os.setgroups([])
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
        linux.die_with_parent()
    linux.drop_capabilities()
    linux.set_dumpable(False)
    linux.load_filter(base64.b64decode(settings["filter"]))


def _some_cpus(count: int) -> set[int]:
    allowed = sorted(os.sched_getaffinity(0))
    start = int.from_bytes(os.urandom(2), "big") % len(allowed)
    return {allowed[(start + i) % len(allowed)] for i in range(min(count, len(allowed)))}

"""The last steps of isolation, which process 1 takes before it starts the program.

First the file systems are mounted. The files are written to them as the user that runs the program, and those
that it must not change are made read-only, for which capabilities are needed; then these are dropped.
"""

from __future__ import annotations

import base64
import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

from sandbox_runner.guest import linux


def shield() -> None:
    """Protect process 1 from the program. The kernel drops signals to it from inside that have no handler."""
    if os.getpid() != 1:
        raise OSError(f"the sandbox must run as process 1, not {os.getpid()}")
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    linux.set_dumpable(False)


def mount(settings: dict[str, Any] | None) -> None:
    """Mount limited file systems.

    Does nothing if `settings` is None, because then the container engine has done it. They are mounted here,
    because bubblewrap's --tmpfs has no inode limit.
    """
    if settings is None:
        return
    # With --uid, bubblewrap's mount namespace belongs to an outer user namespace. Unsharing gives us our own.
    linux.unshare(linux.CLONE_NEWNS)
    for target, options in settings["tmpfs"]:
        linux.mount("tmpfs", target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)


@contextlib.contextmanager
def identity(settings: dict[str, Any] | None) -> Iterator[None]:
    """Write files as the user that runs the program."""
    if settings is None or os.geteuid() != 0:
        yield
        return
    os.setegid(settings["identity"])
    os.seteuid(settings["identity"])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def protect(settings: dict[str, Any] | None, paths: list[str]) -> None:
    """Mount files read-only over themselves, so that their owner cannot change that by their mode.

    Does nothing if `settings` is None, because the container engine leaves no capability to mount.
    """
    if settings is None:
        return
    kept = linux.MS_NOSUID | linux.MS_NODEV
    for path in paths:
        linux.mount(path, path, None, linux.MS_BIND)
        linux.mount("none", path, None, linux.MS_BIND | linux.MS_REMOUNT | linux.MS_RDONLY | kept)


def drop_privileges(settings: dict[str, Any] | None) -> None:
    """Drop capabilities and root, and load the seccomp filter.

    Does nothing if `settings` is None, because then the container engine has done it. The filter is loaded
    here and not with bubblewrap's --seccomp, because it forbids mounting. Where memory is measured, process 1
    alone keeps the capability to look at processes that hide what they hold; it is one of this sandbox only.
    """
    if settings is None:
        return
    if settings["cpu_count"]:
        os.sched_setaffinity(0, _some_cpus(settings["cpu_count"]))
    linux.empty_bounding_set()
    linux.keep_capabilities()
    if os.geteuid() == 0:
        identity = settings["identity"]
        os.setgroups([])
        os.setresgid(identity, identity, identity)
        os.setresuid(identity, identity, identity)
        linux.die_with_parent()
    linux.drop_capabilities(kept=linux.CAP_SYS_PTRACE if settings["measured"] else 0)
    linux.set_dumpable(False)
    linux.load_filter(base64.b64decode(settings["filter"]))


def _some_cpus(count: int) -> set[int]:
    allowed = sorted(os.sched_getaffinity(0))
    start = int.from_bytes(os.urandom(2), "big") % len(allowed)
    return {allowed[(start + i) % len(allowed)] for i in range(min(count, len(allowed)))}

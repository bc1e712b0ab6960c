"""Run a command that dies with the process that asked for it, even when that one is killed.

    python leash.py --parent PID [--watch] -- COMMAND [ARGUMENT...]

On Linux the kernel is told to kill this process with its parent, and it then becomes the command. The kernel
means the *thread* that started us: whoever starts us from another than the main thread passes --watch, and so
does whoever is not on Linux. Then this process stays, runs the command as its child and looks twice a second
whether the parent still lives.

Stands alone, without imports from the project, so that it starts fast and from any folder.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys

_PR_SET_PDEATHSIG = 1
_WATCH_SECONDS = 0.5


def main(argv: list[str]) -> int:  # noqa: RET503  # exec does not return
    """Become or run the command. Exit status 126: the parent is gone already."""
    options = argparse.ArgumentParser(prog="leash")
    options.add_argument("--parent", type=int, required=True)
    options.add_argument("--watch", action="store_true")
    options.add_argument("command", nargs="+")
    chosen = options.parse_args(argv)
    watch = chosen.watch or sys.platform != "linux"
    if not watch:
        _die_with_parent()
    # The parent may have died before the kernel was told.
    if os.getppid() != chosen.parent:
        return 126
    if watch:
        return _watch(chosen.command, chosen.parent)
    os.execvp(chosen.command[0], chosen.command)  # noqa: S606  # no shell is wanted


def _die_with_parent() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")


def _watch(command: list[str], parent: int) -> int:
    # Our own death must not set the command free either, where the kernel can see to that.
    with_us = _die_with_parent if sys.platform == "linux" else None
    child = subprocess.Popen(command, preexec_fn=with_us)  # noqa: PLW1509  # no thread runs in this process
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            return child.wait(_WATCH_SECONDS)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

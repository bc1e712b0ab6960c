"""Runs a command that is killed when its parent process ends, even when the parent is killed.

    python parent_guard.py --parent PID [--watch] -- COMMAND [ARGUMENT...]

On Linux this process asks the kernel to kill it when its parent ends, and then executes the command in its
place. The kernel watches the *thread* that started this process, so a caller in another than the main thread
must pass --watch. With --watch, and on other systems, this process stays, runs the command as its child and
checks twice a second whether the parent still exists.

It imports nothing from the project, so that it starts fast and from any folder.
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
    """Execute or run the command. Returns 126 when the parent has already ended."""
    options = argparse.ArgumentParser(prog="parent_guard")
    options.add_argument("--parent", type=int, required=True)
    options.add_argument("--watch", action="store_true")
    options.add_argument("command", nargs="+")
    chosen = options.parse_args(argv)
    watch = chosen.watch or sys.platform != "linux"
    if not watch:
        _die_with_parent()
    # The parent may have ended before prctl was called.
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
    # Where the kernel supports it, the command must also end when this process is killed.
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

"""Further ways of `hoarding`: what descriptors hold that are in no process, or in an unusual one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable

from sandbox_runner.probes.inside import hoarding

_MB = 1 << 20
_WANTED = 256 * _MB
_CLONE_VM = 0x100
_INSTANCES, _FILES = 60, 6_000

_libc = ctypes.CDLL(None, use_errno=True)


def _events(keep: Callable[[list[int]], None]) -> int:
    """Let events wait in many instances of inotify that are kept in some way, and closed here."""
    watching = [_libc.inotify_init() for _ in range(_INSTANCES)]
    for fd in watching:
        _libc.inotify_add_watch(fd, b"/work", 0x100)
    keep(watching)
    for fd in watching:
        os.close(fd)
    for at in range(_FILES):
        name = f"{at:0250}"
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
        os.unlink(name)
    return _INSTANCES * _FILES * 300


def sent_events() -> int:
    """Events of instances that are in messages."""
    pair = socket.socketpair()

    def keep(watching: list[int]) -> None:
        socket.send_fds(pair[0], [b"x"], watching)

    hoarding.KEPT.append(pair)
    return _events(keep)


def cloned_events() -> int:
    """Events of instances that a process has whose memory is its parent's, but not its descriptors."""
    stack = ctypes.create_string_buffer(_MB)

    def keep(_: list[int]) -> None:
        top = ctypes.c_void_p(ctypes.addressof(stack) + _MB)
        if _libc.clone(_libc.pause, top, _CLONE_VM | int(signal.SIGCHLD), None) < 0:
            raise OSError("clone")

    hoarding.KEPT.append(stack)
    return _events(keep)


def standard_input() -> int:
    """Bytes written to standard input, where that is a file."""
    written = 0
    with contextlib.suppress(OSError):
        while written < _WANTED:
            written += os.write(0, b"x" * _MB)
    return written


if __name__ == "__main__":
    hoarding.held(globals()[sys.argv[1].replace("-", "_")]())

"""System calls and address families that a program must not get, and functions that try them."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

_COLUMN = 0 if platform.machine() == "x86_64" else 1
_CLONE_NEWUSER, _CLONE_NEWNS, _SIGCHLD = 0x1000_0000, 0x2_0000, 17
_libc = ctypes.CDLL(None, use_errno=True)
# name: ((number on x86_64, number on aarch64), arguments). A call that is let through succeeds, or fails
# with another error than that of the filter.
CALLS: dict[str, tuple[tuple[int, int], tuple[Any, ...]]] = {
    "io_uring": ((425, 425), (8, bytes(120))),
    "bpf": ((321, 280), (0, bytes(128), 72)),
    "userfaultfd": ((323, 282), (1,)),
    "perf": ((298, 241), (bytes(128), 0, -1, -1, 0)),
    "keyctl": ((250, 219), (0, -3, 0)),
    "add_key": ((248, 217), (b"user", b"k", b"v", 1, -3)),
    "ptrace": ((101, 117), (0, 0, 0, 0)),
    "process_vm_writev": ((311, 271), (0, None, 0, None, 0, 0)),
    "kcmp": ((312, 272), (0, 0, 0, 0, 0)),
    "open_by_handle": ((304, 265), (-100, None, 0)),
    "init_module": ((175, 105), (None, 0, b"")),
    "kexec": ((246, 104), (0, 0, None, 0)),
    "mount": ((165, 40), (b"x", b"/work", b"tmpfs", 0, None)),
    "umount": ((166, 39), (b"/work/nothing", 0)),
    "fsopen": ((430, 430), (b"tmpfs", 0)),
    "open_tree": ((428, 428), (-100, b"/work", 1)),
    "pivot_root": ((155, 41), (b"/work", b"/work")),
    "chroot": ((161, 51), (b"/work",)),
    "setns": ((308, 268), (0, 0)),
    "unshare-user": ((272, 97), (_CLONE_NEWUSER,)),
    "unshare-mount": ((272, 97), (_CLONE_NEWNS,)),
    "clone3": ((435, 435), (bytes(88), 88)),
    "personality": ((135, 92), (0x4_0000,)),
    "syslog": ((103, 116), (3, bytes(10), 10)),
}
FAMILIES = {
    "vsock": 40,
    "alg": 38,
    "netlink": 16,
    "packet": 17,
    "bluetooth": 31,
    "tipc": 30,
    "rds": 21,
    "xdp": 44,
}


def outcome(action: Callable[[], object]) -> str:
    """Run an action; return `done` or the name of the error."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


def call(numbers: tuple[int, int], arguments: tuple[Any, ...]) -> str:
    """Make a system call; return `done` or the name of the error."""
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    ctypes.set_errno(0)
    if _libc.syscall(ctypes.c_long(numbers[_COLUMN]), *words) != -1:
        return "done"
    return errno.errorcode.get(ctypes.get_errno(), "?")


def cloned_user_namespace() -> str:
    """Call clone(2) with a new user namespace; return `done` or the name of the error.

    A child that was made exits at once.
    """
    pid = _libc.syscall(
        ctypes.c_long((56, 220)[_COLUMN]), ctypes.c_long(_CLONE_NEWUSER | _SIGCHLD), None, None, None, None
    )
    if pid == 0:
        os._exit(0)
    return "done" if pid > 0 else errno.errorcode.get(ctypes.get_errno(), "?")


def _open_and_close(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def opened_socket(family: int) -> str:
    """Open sockets of a family, one of each kind; return the different outcomes, joined by `/`."""
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
    seen = {outcome(partial(_open_and_close, family, kind)) for kind in kinds}
    return "/".join(sorted(seen))


def raw_sockets() -> list[str]:
    """Open raw sockets of inet and inet6; return the two outcomes."""
    return [
        outcome(partial(_open_and_close, family, socket.SOCK_RAW, 1))
        for family in (socket.AF_INET, socket.AF_INET6)
    ]

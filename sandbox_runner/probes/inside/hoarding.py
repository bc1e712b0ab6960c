"""Tries to hold far more memory than a limit, in one way: argument 1. Prints how many MB it held in the end.

A way that is refused holds nothing. Each takes what is real, so that whoever counts can see it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_MB = 1 << 20
_WANTED = 256 * _MB
_CHILDREN = 12
_SECONDS = 1.0
_NUMBERS = {
    "x86_64": {"shmget": 29, "shmat": 30, "semget": 64, "exit": 60},
    "aarch64": {"shmget": 194, "shmat": 196, "semget": 190, "exit": 93},
}[os.uname().machine]
_PR_SET_DUMPABLE, _F_SETPIPE_SZ, _SCM_RIGHTS = 4, 1031, 1
_MAP_SHARED_ANONYMOUS, _MAP_NORESERVE_PRIVATE = 0x21, 0x4022

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.syscall.restype = ctypes.c_long

Step = Callable[[list[Any]], int]
"""Takes a little more, keeps it in the list and returns the bytes. Raises OSError when there is no more."""


def _call(name: str, *arguments: object) -> int:
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(_libc.syscall(ctypes.c_long(_NUMBERS[name]), *words))
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def _take(step: Step) -> int:
    """Take all that can be had; return the bytes."""
    taken, kept = 0, list[Any]()
    KEPT.append(kept)
    with contextlib.suppress(OSError, ValueError):
        while taken < _WANTED:
            taken += step(kept)
    return taken


KEPT: list[Any] = []


def _in_children(step: Step) -> int:
    """Let several processes take it side by side, and hold it for a while; return the bytes."""
    reader, writer = os.pipe()
    for _ in range(_CHILDREN):
        if os.fork() == 0:
            os.write(writer, b"%d\n" % _take(step))
            time.sleep(10 * _SECONDS)
            os._exit(0)
    taken = 0
    with os.fdopen(reader) as file:
        for _ in range(_CHILDREN):
            taken += int(file.readline())
    return taken


def _fill(write: Callable[[bytes], int], size: int = 60_000) -> int:
    written = 0
    with contextlib.suppress(BlockingIOError):
        while written < _WANTED:
            written += write(b"x" * size)
    return written


def shared_unseen() -> int:
    """Shared memory without a name, of which no page is mapped any more."""
    area = mmap.mmap(-1, _WANTED)
    for at in range(0, _WANTED, 8 * _MB):
        area[at : at + 8 * _MB] = b"x" * (8 * _MB)
        area.madvise(mmap.MADV_DONTNEED, at, 8 * _MB)
    KEPT.append(area)
    return _WANTED


def shared_first_page() -> int:
    """Shared memory without a name, of which one page is left in sight."""
    for _ in range(64):
        place = _libc.mmap(None, 4 * _MB, 3, _MAP_SHARED_ANONYMOUS, -1, 0)
        ctypes.memset(place, 1, 4 * _MB)
        _libc.munmap(place + 4096, 4 * _MB - 4096)
    return _WANTED


def files() -> int:
    """Files in the folders that are memory."""

    def step(kept: list[Any]) -> int:
        name = f"{('/work', '/tmp')[len(kept) % 2]}/{len(kept)}"
        kept.append(name)
        with open(name, "wb", buffering=0) as file:
            return sum(file.write(b"x" * _MB) for _ in range(8))

    return _take(step)


def page_tables() -> int:
    """A page in each 2 MB of an address space."""
    number = 60_000
    place = _libc.mmap(None, number * 2 * _MB, 1, _MAP_NORESERVE_PRIVATE, -1, 0)
    for at in range(number):
        ctypes.string_at(place + at * 2 * _MB, 1)
    return number * 4096


def mappings() -> int:
    """Mappings of one page each."""

    def step(_: list[Any]) -> int:
        number = 60_000
        place = _libc.mmap(None, number * 4096, 1, _MAP_NORESERVE_PRIVATE, -1, 0)
        for at in range(0, number, 2):
            if _libc.mprotect(place + at * 4096, 4096, 0):
                raise OSError
        return number * 200

    return _in_children(step)


def first_thread_ended() -> int:
    """Memory of a process whose first thread has ended."""

    def work() -> None:
        time.sleep(0.1)
        KEPT.append([b"x" * (4 * _MB) for _ in range(64)])
        held(_WANTED)

    threading.Thread(target=work).start()
    return _call("exit", 0)


def sockets() -> int:
    """Bytes in Unix sockets with buffers as large as may be."""

    def step(kept: list[Any]) -> int:
        pair = socket.socketpair()
        kept.append(pair)
        for end in pair:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _MB)
            end.setblocking(False)
        return sum(_fill(end.send) for end in pair)

    return _in_children(step)


def closed_sockets() -> int:
    """Short messages in Unix sockets whose sender is closed: each takes far more than its bytes."""

    def step(kept: list[Any]) -> int:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        kept.append(other)
        one.setblocking(False)
        return max(200_000, _fill(one.send, 1_000))

    return _in_children(step)


def connections() -> int:
    """Bytes in connections of TCP."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=200)

    def step(kept: list[Any]) -> int:
        client = socket.create_connection(listener.getsockname())
        kept += [client, listener.accept()[0]]
        client.setblocking(False)
        return _fill(client.send)

    return _take(step)


def datagrams() -> int:
    """Bytes in sockets of UDP."""

    def step(kept: list[Any]) -> int:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        kept.append(receiver)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * _MB)
        receiver.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            return sum(sender.sendto(b"x" * 30_000, receiver.getsockname()) for _ in range(14))

    return _in_children(step)


def _pipe(kept: list[Any]) -> int:
    reader, writer = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(writer, _F_SETPIPE_SZ, _MB)
    os.set_blocking(writer, False)
    taken = _fill(lambda data: os.write(writer, data))
    os.close(writer)
    kept.append(reader)
    return taken


def pipes() -> int:
    """Bytes in pipes."""
    return _in_children(_pipe)


def hidden_pipes() -> int:
    """Bytes in pipes of processes that let nobody look at them."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return _in_children(_pipe)


def sent_pipes() -> int:
    """Bytes in pipes that are in messages."""

    def step(kept: list[Any]) -> int:
        pair, mine = socket.socketpair(), list[Any]()
        taken = sum(_pipe(mine) for _ in range(60))
        socket.send_fds(pair[0], [b"x"], mine)
        for fd in mine:
            os.close(fd)
        kept.append(pair)
        return taken

    return _in_children(step)


def watches() -> int:
    """Descriptors watched by epoll, each by many numbers that it has had."""

    def step(kept: list[Any]) -> int:
        if not kept:
            kept += [os.eventfd(0) for _ in range(100)]
        epoll = select.epoll()
        for fd in kept[:100]:
            for number in range(150, 250):
                os.dup2(fd, number)
                epoll.register(number)
        os.closerange(150, 250)
        kept.append(epoll)
        return 100 * 100 * 192

    return _in_children(step)


def events() -> int:
    """Events of files that nobody reads."""
    watching = []
    for _ in range(60):
        if (fd := _libc.inotify_init()) < 0:
            break
        _libc.inotify_add_watch(fd, b"/work", 0x100)
        watching.append(fd)
    for at in range(5_000):
        name = f"{at:0250}"
        os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
        os.unlink(name)
    return len(watching) * 5_000 * 300


def semaphores() -> int:
    """System V semaphores."""
    return _take(lambda _: _call("semget", 0, 32_000, 0o1600) * 0 + 32_000 * 64)


def segments() -> int:
    """System V segments."""

    def step(_: list[Any]) -> int:
        place = _call("shmat", _call("shmget", 0, 8 * _MB, 0o1600), 0, 0)
        ctypes.memset(place, 1, 8 * _MB)
        return 8 * _MB

    return _take(step)


def held(size: int) -> None:
    """Hold it for a while, print the megabytes and exit."""
    time.sleep(_SECONDS)
    os.write(1, b"%d\n" % (size // _MB))
    os._exit(0)


if __name__ == "__main__":
    held(globals()[sys.argv[1].replace("-", "_")]())

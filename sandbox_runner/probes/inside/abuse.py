"""Misbehaves in one way. Arguments: its name, a marker by which the host finds processes, further ones."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NoReturn

_MEGABYTE = 1024 * 1024
_FOLDERS = ("/work", "/tmp", "/dev/shm")
# Machine code: getpid of i386 by int 0x80, and getpid with the x32 bit.
_FOREIGN_CALLS = {"i386": "b814000000cd80c3", "x32": "b8270000400f05c3"}


def tell(seen: object) -> None:
    """Print what was seen as JSON, unbuffered."""
    print(json.dumps(seen), flush=True)


def attempt(action: Callable[[], object]) -> str:
    """Run an action; return `done` or the name of the error."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


def fork_bomb() -> NoReturn:
    """Fork for ever."""
    while True:
        attempt(os.fork)


def fork_bomb_daemons() -> NoReturn:
    """Fork for ever, each child in a session of its own and orphaned."""
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
                if os.fork():
                    os._exit(0)
        except OSError:
            pass


def memory() -> NoReturn:
    """Allocate memory for ever."""
    blocks = []
    while True:
        blocks.append(b"x" * (8 * _MEGABYTE))


def memory_of_a_child() -> None:
    """Let a child allocate memory until it is killed, and exit with success."""
    if os.fork() == 0:
        memory()
    os.wait()


def reserved_memory() -> None:
    """Reserve more memory than there is, lock all memory, ask for huge pages."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    seen = [attempt(lambda: mmap.mmap(-1, 200 << 30, flags=private | 0x4000, prot=0))]
    seen.append(attempt(lambda: mmap.mmap(-1, 1 << 30, flags=private | 0x4_0000)))
    libc = ctypes.CDLL(None, use_errno=True)
    seen.append("done" if libc.mlockall(3) == 0 else errno.errorcode[ctypes.get_errno()])
    tell(seen)


def disk() -> None:
    """Fill every writable file system."""
    tell({folder: _fill(folder, b"x" * 500_000, 10_000) for folder in _FOLDERS})


def inodes() -> None:
    """Make empty files until there are no inodes left."""
    tell({folder: _fill(folder, b"", 100_000) for folder in _FOLDERS})


def _fill(folder: str, content: bytes, most: int) -> list[object]:
    """Make files until it fails; return [error, files made, bytes written]."""
    written = number = 0
    try:
        for number in range(most):
            with open(f"{folder}/probe-{number}", "wb", buffering=0) as file:
                written += file.write(content)
    except OSError as error:
        return [errno.errorcode[error.errno or 0], number, written]
    return ["none", number, written]


def sparse_file() -> None:
    """Make a sparse file of a terabyte."""
    with open("big", "wb") as file:
        file.truncate(1 << 40)


def two_cpus() -> None:
    """Compute with two processes for a second, and print the CPU time that they got."""
    pipe_read, pipe_write = os.pipe()
    for _ in range(2):
        if os.fork() == 0:
            end = time.monotonic() + 1
            while time.monotonic() < end:
                pass
            os.write(pipe_write, f"{time.process_time()}\n".encode())
            os._exit(0)
    for _ in range(2):
        os.wait()
    tell(sum(map(float, os.read(pipe_read, 1000).split())))


def spin() -> NoReturn:
    """Compute for ever, in two processes."""
    os.fork()
    while True:
        pass


def regex() -> None:
    """Match a regular expression that takes exponential time."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def sleep() -> None:
    """Do nothing for an hour."""
    time.sleep(3600)


def ignored_signals() -> NoReturn:
    """Ignore every signal that can be ignored."""
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(60)


def stopped() -> None:
    """Stop all processes, itself included."""
    if os.fork() == 0:
        time.sleep(60)
    os.kill(-1, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


def daemon() -> None:
    """Leave a daemon behind and exit with success."""
    _orphan(subprocess.DEVNULL)
    time.sleep(0.2)


def held_outputs() -> None:
    """Leave a daemon behind that keeps the outputs open."""
    _orphan(None)


def _orphan(outputs: int | None) -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            command = [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[2]]
            subprocess.Popen(command, start_new_session=True, stdout=outputs, stderr=outputs)
        os._exit(0)


def kill_everybody() -> None:
    """Send SIGKILL to all processes, then to process 1, then to itself."""
    if os.fork() == 0:
        time.sleep(60)
    attempt(lambda: os.kill(-1, signal.SIGKILL))
    attempt(lambda: os.kill(1, signal.SIGKILL))
    tell("alive")
    os.kill(os.getpid(), signal.SIGKILL)


def flood() -> NoReturn:
    """Print for ever."""
    while True:
        os.write(1, b"o" * 8_192)
        os.write(2, b"e" * 8_192)


def zombies() -> None:
    """Make children and never wait for them."""
    made = 0
    for _ in range(100_000):
        try:
            if os.fork() == 0:
                os._exit(0)
        except OSError:
            break
        made += 1
    tell(made)


def descriptors() -> None:
    """Open pipes, epolls and files until no descriptor is left."""
    seen = []
    for make in (os.pipe, select.epoll, lambda: os.open("/dev/null", os.O_RDONLY)):
        kept: list[object] = []
        reason = attempt(partial(_keep, make, kept))
        seen.append([reason, len(kept)])
        os.closerange(3, 1_000)
    tell(seen)
    os._exit(0)


def _keep(make: Callable[[], object], kept: list[object]) -> None:
    while True:
        kept.append(make())


def core_dump() -> None:
    """Abort with 50 MB in memory, after allowing core dumps."""
    block = b"x" * (50 * _MEGABYTE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (len(block), len(block)))
    os.abort()


def foreign_calls() -> None:
    """Call getpid as another architecture does; print whether that returned the process id."""
    area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    area.write(bytes.fromhex(_FOREIGN_CALLS[sys.argv[3]]))
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    tell(ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid())


def find_sockets() -> None:
    """Probe for sockets of services in the whole file system."""
    command = "find / -path /proc -prune -o -type s -print 2>/dev/null"
    tell(subprocess.run(["sh", "-c", command], capture_output=True, check=False).stdout.decode().split())


def replaced_devices() -> None:
    """Try to replace or remove devices, and files of /proc and /sys that an engine covers."""
    paths = ("/dev/null", "/dev/zero", "/proc/kcore", "/proc/keys", "/proc/sys", "/sys/firmware")
    seen = {path: attempt(partial(os.rename, "/tmp", path)) for path in paths}
    for path in paths:
        seen[f"unlink {path}"] = attempt(partial(os.unlink, path))
    seen["link"] = attempt(lambda: os.symlink("/etc/passwd", "/dev/probe"))
    tell(sorted(name for name, reason in seen.items() if reason == "done"))


def host_files() -> None:
    """Open the files of the host that the arguments name for reading and for writing."""
    flags = {"read": os.O_RDONLY, "write": os.O_WRONLY | os.O_APPEND}
    wanted = [(path, name) for path in sys.argv[3:] for name in flags]
    tell(
        [f"{name} {path}" for path, name in wanted if attempt(partial(os.open, path, flags[name])) == "done"]
    )


def host_sockets() -> None:
    """Connect to listeners of the host: a port, the path of a Unix socket, the name of an abstract one."""
    port, path, name = int(sys.argv[3]), sys.argv[4], sys.argv[5]
    for address in ("127.0.0.1", "::1", "localhost"):
        attempt(partial(socket.create_connection, (address, port), timeout=2))
    for target in (path, "\0" + name):
        with socket.socket(socket.AF_UNIX) as client:
            attempt(partial(client.connect, target))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        attempt(partial(client.sendto, b"probe", ("127.0.0.1", port)))
    attempt(lambda: socket.getaddrinfo("sandbox-probe.invalid", 80))
    tell("tried")


def polite() -> None:
    """Do a little work and write its result."""
    with open("result", "w", encoding="ascii") as file:
        file.write(str(sum(range(1000))))
    tell("done")


def make_tree() -> None:
    """Make a tree with a good file, and add to it with the code in the arguments."""
    os.makedirs("out")
    with open("out/good", "w", encoding="ascii") as file:
        file.write("x")
    exec(sys.argv[3], {"os": os, "socket": socket})  # noqa: S102 - a tree's code is shipped with this file


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")]()

"""Looks at every protection once and prints {name: what was seen} as JSON.

Argument: the most processes that are allowed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable
from functools import partial

from sandbox_runner.probes.inside.calls import (
    CALLS,
    FAMILIES,
    call,
    cloned_user_namespace,
    opened_socket,
    outcome,
    raw_sockets,
)

_SIOCGIFFLAGS, _IFF_UP = 0x8913, 1
_FOLDERS = (
    "/",
    "/usr",
    "/usr/bin",
    "/etc",
    "/opt",
    "/var",
    "/root",
    "/home",
    "/run",
    "/dev",
    "/proc",
    "/sys",
)
SWITCHES = {
    "proc-core-pattern": "/proc/sys/kernel/core_pattern",
    "proc-sysrq": "/proc/sysrq-trigger",
    "proc-drop-caches": "/proc/sys/vm/drop_caches",
    "release-agent": "/sys/fs/cgroup/release_agent",
    "release-agent-v1": "/sys/fs/cgroup/memory/release_agent",
    "notify-on-release": "/sys/fs/cgroup/memory/notify_on_release",
    "oom-score-of-1": "/proc/1/oom_score_adj",
    "own-executable": "/proc/self/exe",
}
_SOCKET_PLACES = ("/run", "/var", "/tmp", "/dev", "/home", "/root", "/mnt", "/srv", "/work")


def links_that_are_up() -> list[str]:
    """Return the names of the network interfaces that are up."""
    found = []
    with open("/proc/net/dev", encoding="ascii") as file:
        names = [line.partition(":")[0].strip() for line in file if ":" in line]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name in names:
            answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sh14x", name.encode(), 0))
            if struct.unpack("16sh14x", answer)[1] & _IFF_UP:
                found.append(name)
    return found


def a_way_out() -> str:
    """Try whether there is a route to another host. Connecting a UDP socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return outcome(lambda: probe.connect(("192.0.2.1", 9)))


def socket_files() -> list[str]:
    """Return the Unix sockets in the folders where services keep them."""
    found = []
    for place in _SOCKET_PLACES:
        for folder, _, names in os.walk(place):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if stat.S_ISSOCK(os.lstat(path).st_mode):
                        found.append(path)
    return found


def opened_to_write(path: str) -> str:
    """Open a file for writing; return the outcome. Nothing is written."""
    return outcome(lambda: os.close(os.open(path, os.O_WRONLY)))


def created_files() -> list[str]:
    """Return the folders outside of the small file systems in which a file could be created."""
    return [folder for folder in _FOLDERS if _created(os.path.join(folder, "sandbox-probe"))]


def _created(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except OSError:
        return False
    os.unlink(path)
    return True


def opened_programs() -> list[str]:
    """Return the programs and libraries that could be opened for writing. Nothing is written."""
    paths = (os.path.realpath(sys.executable), os.__file__, json.__file__, "/etc/passwd", "/bin/sh")
    return [path for path in paths if opened_to_write(path) == "done"]


def writable_mounts() -> list[str]:
    """Return the mount points to which this user may write."""
    with open("/proc/mounts", encoding="utf-8") as file:
        mounts = [line.split()[1:4] for line in file]
    return sorted(
        path
        for path, kind, options in mounts
        if kind not in {"devpts", "mqueue"} and "rw" in options.split(",")
        if os.path.isdir(path) and os.access(path, os.W_OK)
    )


def opened_process_1() -> list[str]:
    """Return the names of what could be opened in /proc/1."""
    names = ("mem", "environ", "maps")
    links = ("exe", "root", "cwd")
    seen = [name for name in names if outcome(partial(os.open, f"/proc/1/{name}", os.O_RDONLY)) == "done"]
    return seen + [name for name in links if outcome(partial(os.readlink, f"/proc/1/{name}")) == "done"]


def devices() -> list[str]:
    """Return the block devices, and the character devices other than the harmless ones."""
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"}
    found = []
    for name in set(os.listdir("/dev")) - harmless:
        mode = os.lstat(os.path.join("/dev", name)).st_mode
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            found.append(name)
    return found


def threads(most: int) -> int:
    """Start up to ten more threads than `most`; return how many could be started."""
    gate = threading.Event()
    made = []
    try:
        for _ in range(most + 10):
            thread = threading.Thread(target=gate.wait, daemon=True)
            thread.start()
            made.append(thread)
    except RuntimeError:
        pass
    gate.set()
    return len(made)


def mapped_to_root() -> str:
    """Try to map this user to root in the user namespace; return the outcome."""
    fd = -1
    try:
        fd = os.open("/proc/self/uid_map", os.O_WRONLY)
        return outcome(lambda: os.write(fd, b"0 0 1"))
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    finally:
        if fd >= 0:
            os.close(fd)


def status() -> dict[str, str]:
    """Return the fields of /proc/self/status."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def outer_user() -> int:
    """Return the id of this user outside of its user namespace; -1 when it is not mapped."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        for inside, outside, count in (map(int, line.split()) for line in file):
            if inside <= os.getuid() < inside + count:
                return outside + os.getuid() - inside
    return -1


def memory_limit() -> str:
    """Return the memory limit of the control group; `hidden` when no control group is visible."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            return file.read().strip()
    return "hidden"


def sizes() -> dict[str, list[int]]:
    """Return path -> [bytes, inodes] of the small file systems."""
    seen = {path: os.statvfs(path) for path in ("/work", "/tmp", "/dev/shm")}
    return {path: [one.f_blocks * one.f_frsize, one.f_files] for path, one in seen.items()}


def looks(most_processes: int) -> dict[str, Callable[[], object]]:
    """Return the functions that look at something, by name."""
    allowed = {int(socket.AF_UNIX), int(socket.AF_INET), int(socket.AF_INET6)}
    own = status()
    found: dict[str, Callable[[], object]] = {
        **{name: partial(opened_socket, family) for name, family in FAMILIES.items()},
        "other-families": lambda: [
            family for family in set(range(64)) - allowed if opened_socket(family) != "EAFNOSUPPORT"
        ],
        "raw-sockets": raw_sockets,
        **{name: partial(call, *one) for name, one in CALLS.items()},
        "clone-user": cloned_user_namespace,
        "mknod-block": lambda: outcome(lambda: os.mknod("b", stat.S_IFBLK | 0o600, os.makedev(1, 1))),
        "mknod-char": lambda: outcome(lambda: os.mknod("c", stat.S_IFCHR | 0o600, os.makedev(1, 1))),
        "root-write": created_files,
        "programs-write": opened_programs,
        "writable-mounts": writable_mounts,
        **{name: partial(opened_to_write, path) for name, path in SWITCHES.items()},
        "only-loopback": links_that_are_up,
        "no-route": a_way_out,
        "socket-files": socket_files,
        "devices": devices,
        "capabilities": lambda: [own[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no-new-privs": lambda: own["NoNewPrivs"],
        "seccomp": lambda: own["Seccomp"],
        "user": lambda: [*os.getresuid(), *os.getresgid(), *os.getgroups()],
        "outer-user": outer_user,
        "uid-map": mapped_to_root,
        "environment": lambda: sorted(os.environ),
        "host-name": socket.gethostname,
        "process-1": opened_process_1,
        "processes": lambda: sorted(
            {int(one) for one in os.listdir("/proc") if one.isdigit()} - {os.getpid()}
        ),
        "descriptors": lambda: [fd for fd in range(3, 256) if outcome(partial(os.fstat, fd)) == "done"],
        "rlimits": lambda: [
            resource.getrlimit(one)[1]
            for one in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)
        ],
        "memory-limit": memory_limit,
        "file-systems": sizes,
        "landlock": lambda: outcome(lambda: open("/proc/self/comm", "w", encoding="ascii").close()),
        "process-limit": lambda: threads(most_processes),
    }
    return found


def main() -> None:
    """Call every look and print what was seen. A look that fails is printed as its error."""
    seen: dict[str, object] = {}
    for name, look in looks(int(sys.argv[1])).items():
        try:
            seen[name] = look()
        except Exception as error:  # noqa: BLE001,RUF100 - one that fails must not hide the others
            seen[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(seen))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()

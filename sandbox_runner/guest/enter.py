"""Enters namespaces: a user namespace, and with the `namespaces` backend all others and a new root."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
from typing import Any

from sandbox_runner.guest import linux

_EVERYTHING = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWIPC
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWCGROUP
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
_READ_ONLY = linux.ATTR_RDONLY | linux.ATTR_NOSUID | linux.ATTR_NODEV
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def exec_bubblewrap(plan: dict[str, Any]) -> None:
    """Run bubblewrap, as root, in a user namespace that maps root and the unprivileged user."""
    linux.die_with_parent()
    _unshare_with_map(linux.CLONE_NEWUSER, plan["identity"])
    linux.die_with_parent()
    os.execv(plan["argv"][0], plan["argv"])  # noqa: S606 - no shell is wanted


def enter_namespaces(plan: dict[str, Any]) -> None:
    """Return in process 1 of new namespaces, in the new root. The caller's process waits for it and exits."""
    linux.die_with_parent()
    _unshare_with_map(_EVERYTHING, plan["identity"])
    linux.die_with_parent()
    child = os.fork()
    if child:
        os.write(plan["info_fd"], json.dumps({"child-pid": child}).encode())
        for fd in (0, 1, plan["info_fd"]):
            os.close(fd)
        os.waitpid(child, 0)
        os._exit(0)
    linux.die_with_parent()
    os.umask(0o022)
    os.close(plan["info_fd"])
    socket.sethostname("sandbox")
    _loopback_up()
    _build_root(plan["root"])


def _unshare_with_map(flags: int, identity: int) -> None:
    """Leave namespaces, the user namespace among them, and map user ids into the new one.

    Root maps itself, to set up the sandbox, and `identity`, for the program. Other users map only themselves.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid:
        linux.unshare(flags)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"{identity} {gid} 1")
        _write("/proc/self/uid_map", f"{identity} {uid} 1")
        return
    # Only a process outside of the namespace may map two ids: a helper that did not leave does it.
    ready, go = os.pipe()
    target = os.getpid()
    helper = os.fork()
    if helper == 0:
        os.close(go)  # otherwise the helper would wait for ever if the target were killed
        try:
            os.read(ready, 1)
            for kind in ("uid", "gid"):
                _write(f"/proc/{target}/{kind}_map", f"0 0 1\n{identity} {identity} 1\n")
        except OSError:
            os._exit(1)
        os._exit(0)
    linux.unshare(flags)
    os.write(go, b"x")
    os.close(go)
    os.close(ready)
    if os.waitpid(helper, 0)[1]:
        raise OSError(f"root may not map the user ids 0 and {identity} here")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def _build_root(root: dict[str, Any]) -> None:
    """Build the new root below /tmp while the old one is mounted, then unmount the old one."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", "/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=1m")  # noqa: S108 - a mount point
    os.mkdir("/tmp/new")  # noqa: S108 - in the tmpfs just mounted
    os.mkdir("/tmp/old")  # noqa: S108 - in the tmpfs just mounted
    linux.pivot_root("/tmp", "/tmp/old")  # noqa: S108 - as above
    os.chdir("/")
    linux.mount("/new", "/new", None, linux.MS_BIND)
    _fill(root)
    os.chdir("/new")
    linux.pivot_root(".", ".")
    linux.detach(".")
    os.chdir("/")


def _fill(root: dict[str, Any]) -> None:
    for folder in root["folders"]:
        os.makedirs("/new" + folder, exist_ok=True)
    for target, path in root["links"]:
        os.symlink(target, "/new" + path)
    for source, target in root["binds"]:
        _bind("/old" + source, "/new" + target, _READ_ONLY)
    for folder in root["hidden"]:
        linux.mount("tmpfs", "/new" + folder, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=4k")
        linux.seal("/new" + folder, _READ_ONLY)
    os.mkdir("/new/proc")
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("proc", "/new/proc", "proc", flags)
    _devices()
    linux.seal("/new", _READ_ONLY, recursive=False)


def _bind(source: str, target: str, attributes: int) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o444))
    linux.mount(source, target, None, linux.MS_BIND | linux.MS_REC)
    linux.seal(target, attributes)


def _devices() -> None:
    os.mkdir("/new/dev")
    linux.mount("tmpfs", "/new/dev", "tmpfs", linux.MS_NOSUID, "mode=755,size=64k")
    for name in _DEVICES:
        _bind(f"/old/dev/{name}", f"/new/dev/{name}", linux.ATTR_NOSUID | linux.ATTR_NOEXEC)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/new/dev/{name}")
    os.mkdir("/new/dev/shm")
    os.mkdir("/new/dev/pts")
    flags = linux.MS_NOSUID | linux.MS_NOEXEC
    linux.mount("devpts", "/new/dev/pts", "devpts", flags, "newinstance,ptmxmode=666,mode=620")
    os.symlink("pts/ptmx", "/new/dev/ptmx")
    linux.seal("/new/dev", linux.ATTR_RDONLY | linux.ATTR_NOSUID | linux.ATTR_NOEXEC, recursive=False)

"""Bubblewrap: the launcher that most desktops have and that security policies know by name."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from sandbox_runner.engine.payload import PYTHON_OPTIONS, UNPRIVILEGED, boot_block
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.local.rootfs import Root
from sandbox_runner.local.sandbox import Launch, LocalSandbox, Planner
from sandbox_runner.local.toolbox import interpreter

NAME = "bubblewrap"
HOW_TO_GET = "install it: apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap"
# What process 1 needs for its last steps (guest.isolate); it gives all of it up before the program starts.
_CAPABILITIES = ("CAP_SYS_ADMIN", "CAP_SETPCAP", "CAP_SETUID", "CAP_SETGID")
_NAMESPACES = ("ipc", "pid", "net", "uts", "cgroup-try")


def find() -> str | None:
    """Path of the program, None when it is not installed."""
    return shutil.which("bwrap")


def identity(program: str) -> tuple[str, ...]:
    """What tells this bubblewrap from another one, without starting it."""
    state = os.stat(program)
    return (program, str(state.st_size), str(state.st_mtime_ns))


def make(settings: SandboxSettings, program: str) -> LocalSandbox:
    """The port on top of the bubblewrap at `program`."""
    return LocalSandbox(NAME, _planner(program), settings)


def _planner(program: str) -> Planner:
    def plan(root: Root, info_fd: int) -> Launch:
        argv = (program, *_options(root, info_fd), "--", str(interpreter()), *PYTHON_OPTIONS)
        if os.geteuid():
            ids = ("--unshare-user", "--uid", str(UNPRIVILEGED), "--gid", str(UNPRIVILEGED))
            return Launch((program, *ids, *argv[1:]), boot_block())
        # Started by root bubblewrap would make the program root's; so it gets a user namespace with two ids.
        enter = {"kind": "bubblewrap", "identity": UNPRIVILEGED, "argv": argv}
        return Launch((str(interpreter()), *PYTHON_OPTIONS), boot_block(enter) + boot_block())

    return plan


def _options(root: Root, info_fd: int) -> list[str]:
    options = [f"--unshare-{name}" for name in _NAMESPACES]
    options += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    options += ["--info-fd", str(info_fd), "--cap-drop", "ALL"]
    for capability in _CAPABILITIES:
        options += ["--cap-add", capability]
    for folder in _parents(target for _, target in root.binds):
        options += ["--perms", "0755", "--dir", folder]
    for source, target in root.binds:
        options += ["--ro-bind", source, target]
    for target, path in root.links:
        options += ["--symlink", target, path]
    for folder in root.hidden:
        options += ["--tmpfs", folder, "--remount-ro", folder]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for folder in root.folders:
        options += ["--perms", "0755", "--dir", folder]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]


def _parents(paths: Iterable[str]) -> list[str]:
    """All folders above, outermost first: bubblewrap would make them for its own user alone."""
    found = {str(parent) for path in paths for parent in Path(path).parents}
    return sorted(found - {"/"})

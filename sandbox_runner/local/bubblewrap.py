"""The backend that starts sandboxes with bubblewrap.

Most desktops have it, and security policies such as AppArmor's allow it by name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from sandbox_runner.engine.payload import PYTHON_OPTIONS, UNPRIVILEGED, boot_block
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.local.process import Launch, Planner
from sandbox_runner.local.rootfs import Root
from sandbox_runner.local.sandbox import LocalSandbox
from sandbox_runner.local.toolbox import interpreter

NAME = "bubblewrap"
HOW_TO_GET = "install it: apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap"
# Process 1 needs these for its last steps (guest.isolate), and one to measure memory. No program has any.
_CAPABILITIES = ("CAP_SYS_ADMIN", "CAP_SETPCAP", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_PTRACE")
# An overlay takes what is written as its mounter, who may not be the owner of the files (guest.placement).
_OVERLAY_CAPABILITIES = ("CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER")
_NAMESPACES = ("ipc", "pid", "net", "uts", "cgroup-try")


def find() -> str | None:
    """Return the path of the program; None when it is not installed."""
    return shutil.which("bwrap")


def identity(program: str) -> tuple[str, ...]:
    """Return what identifies this build of bubblewrap, without starting it."""
    state = os.stat(program)
    return (program, str(state.st_size), str(state.st_mtime_ns))


def make(settings: SandboxSettings, program: str) -> LocalSandbox:
    """Make a sandbox that uses the bubblewrap at `program`."""
    return LocalSandbox(NAME, _planner(program), settings)


def _planner(program: str) -> Planner:
    def plan(root: Root, info_fd: int) -> Launch:
        argv = (program, *_options(root, info_fd), "--", str(interpreter()), *PYTHON_OPTIONS)
        if os.geteuid():
            ids = ("--unshare-user", "--uid", str(UNPRIVILEGED), "--gid", str(UNPRIVILEGED))
            return Launch((program, *ids, *argv[1:]), boot_block(workspace=root.workspace))
        # Started by root, bubblewrap would run the program as the host's root. So it is started in a user
        # namespace that maps two ids.
        enter = {"kind": "bubblewrap", "identity": UNPRIVILEGED, "argv": argv}
        return Launch(
            (str(interpreter()), *PYTHON_OPTIONS), boot_block(enter) + boot_block(workspace=root.workspace)
        )

    return plan


def _options(root: Root, info_fd: int) -> list[str]:
    options = [f"--unshare-{name}" for name in _NAMESPACES]
    options += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1", "--clearenv"]
    options += ["--info-fd", str(info_fd), "--cap-drop", "ALL"]
    for capability in (*_CAPABILITIES, *(_OVERLAY_CAPABILITIES if root.workspace else ())):
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
    """Return all parent folders, outermost first. Bubblewrap would make them for its own user alone."""
    found = {str(parent) for path in paths for parent in Path(path).parents}
    return sorted(found - {"/"})

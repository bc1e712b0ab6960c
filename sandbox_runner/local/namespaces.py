"""The backend that makes Linux namespaces itself, where the kernel allows that to this user."""

from __future__ import annotations

from dataclasses import asdict

from sandbox_runner.engine.payload import PYTHON_OPTIONS, UNPRIVILEGED, boot_block
from sandbox_runner.engine.settings import SandboxSettings
from sandbox_runner.local.process import Launch
from sandbox_runner.local.rootfs import Root
from sandbox_runner.local.sandbox import LocalSandbox
from sandbox_runner.local.toolbox import interpreter

NAME = "namespaces"
HOW_TO_GET = (
    "allow user namespaces: sysctl user.max_user_namespaces above 0, and, where they exist,"
    " kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0;"
    " Linux 5.12 or newer"
)


def make(settings: SandboxSettings) -> LocalSandbox:
    """Make a sandbox that uses our own launcher."""
    return LocalSandbox(NAME, _plan, settings)


def _plan(root: Root, info_fd: int) -> Launch:
    enter = {"kind": NAME, "identity": UNPRIVILEGED, "info_fd": info_fd, "root": asdict(root)}
    return Launch((str(interpreter()), *PYTHON_OPTIONS), boot_block(enter, workspace=root.workspace))

"""The writable folders of a sandbox."""

from __future__ import annotations

from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.engine.payload import MEGABYTE, UNPRIVILEGED, WORK

_SMALL_MB = 16


_OWNER = f"uid={UNPRIVILEGED},gid={UNPRIVILEGED}"


def work_options(size: int, file_count: int) -> str:
    """Return the mount options of a work folder for so many bytes and files."""
    return f"size={size},nr_inodes={file_count + 1},mode=0755,{_OWNER}"


def tmpfs_mounts(limits: SandboxLimits) -> list[tuple[str, str]]:
    """Return (path, mount options) of the work folder and of the two folders for temporary files."""
    return [
        (WORK, work_options(limits.disk_mb * MEGABYTE, limits.file_count)),
        *temporary_mounts(limits),
    ]


def temporary_mounts(limits: SandboxLimits) -> list[tuple[str, str]]:
    """Return (path, mount options) of the two folders for temporary files."""
    small = min(limits.disk_mb, _SMALL_MB)
    return [
        ("/tmp", f"size={limits.disk_mb * MEGABYTE},nr_inodes={limits.file_count + 1},mode=1777,{_OWNER}"),  # noqa: S108 - inside
        ("/dev/shm", f"size={small * MEGABYTE},nr_inodes=256,mode=1777,{_OWNER}"),  # noqa: S108 - inside
    ]

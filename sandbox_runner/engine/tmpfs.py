"""The writable folders of a sandbox."""

from __future__ import annotations

from contracts.ports.sandbox import SandboxLimits
from sandbox_runner.engine.payload import MEGABYTE, UNPRIVILEGED, WORK

_SMALL_MB = 16


def tmpfs_mounts(limits: SandboxLimits) -> list[tuple[str, str]]:
    """Return (path, mount options) of the work folder and of the two folders for temporary files."""
    owner = f"uid={UNPRIVILEGED},gid={UNPRIVILEGED}"
    small = min(limits.disk_mb, _SMALL_MB)
    return [
        (WORK, f"size={limits.disk_mb * MEGABYTE},nr_inodes={limits.file_count + 1},mode=0755,{owner}"),
        ("/tmp", f"size={limits.disk_mb * MEGABYTE},nr_inodes={limits.file_count + 1},mode=1777,{owner}"),  # noqa: S108 - inside
        ("/dev/shm", f"size={small * MEGABYTE},nr_inodes=256,mode=1777,{owner}"),  # noqa: S108 - inside
    ]

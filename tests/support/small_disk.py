"""A disk of a few megabytes that a test can fill."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import need


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Mounted at a new folder."""
    need(os.geteuid() == 0, "a small disk of its own needs root")
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m"]
    subprocess.run(["mount", *options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path, leave: int = 0) -> None:
    """Fill the disk with a file there, but for `leave` bytes; whatever else writes may have been quicker."""
    room = os.statvfs(path.parent)
    try:
        path.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - leave)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise

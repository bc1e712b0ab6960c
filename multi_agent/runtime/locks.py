"""File locks that name their holder and are released when the holder ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Any, Final

_ASKED_SECONDS: Final = 0.02
"""How long whoever asks for the holder has the lock at most."""
_NOTE_BYTES: Final = 256
"""Notes are filled up to this, so that hardly any is shorter than the one before."""


class FileLock:
    """An exclusive lock on a file, held until `release` or until the process ends for any reason."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Acquire the lock if it is free. Returns whether this process holds it now."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self.describe({"pid": os.getpid()})
        return True

    def describe(self, note: dict[str, Any]) -> None:
        """Write a note for other processes. Only the holder may call this."""
        assert self._descriptor is not None
        text = json.dumps({"pid": os.getpid(), **note}).encode().ljust(_NOTE_BYTES)
        os.pwrite(self._descriptor, text, 0)
        # Only where it is needed: to cut a file that was just written may wait for the disk.
        if os.fstat(self._descriptor).st_size > len(text):
            os.ftruncate(self._descriptor, len(text))

    def note(self) -> dict[str, Any]:
        """Read the note of the latest holder; {} when there is none or it is incomplete."""
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def held_by_other(self) -> bool:
        """Whether another process holds the lock at this moment."""
        if self._descriptor is not None:
            return False
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # Shared, so that those who ask at the same time do not take each other for a holder.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """Release the lock. A second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _lock(descriptor: int) -> bool:
    """Lock it, though somebody may just be asking who holds it."""
    for last in (False, False, True):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not last:
                time.sleep(_ASKED_SECONDS)
        else:
            return True
    return False

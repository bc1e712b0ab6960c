"""File locks that say who holds them and vanish with their holder."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any


class FileLock:
    """An exclusive lock on a file, held until `release` or the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self.describe({"pid": os.getpid()})
        return True

    def describe(self, note: dict[str, Any]) -> None:
        """Leave a note for others; only the holder may."""
        assert self._descriptor is not None
        text = json.dumps({"pid": os.getpid(), **note}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text, 0)

    def note(self) -> dict[str, Any]:
        """The newest holder's note, {} when there is none or it is half written."""
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def held_by_other(self) -> bool:
        """Whether somebody else holds it at this moment."""
        if self._descriptor is not None or not self._path.exists():
            return False
        if self.acquire():
            self.release()
            return False
        return True

    def release(self) -> None:
        """Give the lock up; again is a no-op."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

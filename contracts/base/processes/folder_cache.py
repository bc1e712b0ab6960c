"""Folders that are made once, used by several processes at a time, and removed when there are too many.

An entry is a folder NAME with `lock`, `size` and `content`. Whoever uses it holds a shared flock on `lock`,
whoever removes it an exclusive one. An entry is made under another name and renamed, so nobody sees an
unfinished one. Whoever makes one holds a lock that its name leads to, so that nobody else makes the same one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_UNFINISHED, _GONE, _GATE, _MAKER = ".unfinished-", ".gone-", ".gate", ".maker-"
_MAKERS = 64
_PAGE = 4_096


@dataclass(frozen=True, slots=True)
class CachedFolder:
    """An entry in use."""

    content: Path
    size: int
    """Bytes of its files in whole pages, as they lie on disk and in memory."""
    file_count: int
    """Files and folders."""


class CacheEntry(NamedTuple):
    """An entry, in use or not."""

    name: str
    content: Path
    size: int
    """Bytes, as in CachedFolder."""
    used_at: float
    """Seconds since 1970."""


class FolderCache:
    """The entries below one folder, which no other user of the machine can enter.

    most_bytes: of all entries together, as far as those in use allow.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    def has(self, name: str) -> bool:
        """Whether there is such an entry now."""
        return (self._folder / name / "lock").exists()

    @contextmanager
    def using(self, name: str, make: Callable[[Path], None]) -> Iterator[CachedFolder]:
        """Use an entry, which `make` fills first when there is none. Blocking."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while (fd := self._hold(name)) is None:
            with self._sole_maker(name):
                if not (self._folder / name).exists():
                    self._make(name, make)
        try:
            size, file_count = map(int, (self._folder / name / "size").read_text("ascii").split())
            yield CachedFolder(self._folder / name / "content", size, file_count)
        finally:
            os.close(fd)

    def entries(self) -> list[CacheEntry]:
        """All entries, the last used first."""
        found = []
        for entry in self._folder.iterdir() if self._folder.is_dir() else ():
            with suppress(OSError, ValueError):
                size = int((entry / "size").read_text("ascii").split()[0])
                used = (entry / "lock").stat().st_mtime
                if not entry.name.startswith((_UNFINISHED, _GONE)):
                    found.append(CacheEntry(entry.name, entry / "content", size, used))
        return sorted(found, key=lambda entry: -entry.used_at)

    def remove(self, name: str) -> bool:
        """Remove an entry; return whether it is gone, False while somebody uses it."""
        return not (self._folder / name).exists() or self._remove(self._folder / name)

    def _hold(self, name: str) -> int | None:
        """Lock an entry against its removal; None when there is none."""
        lock = self._folder / name / "lock"
        try:
            fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        fcntl.flock(fd, fcntl.LOCK_SH)
        with suppress(OSError):
            if os.path.samestat(os.fstat(fd), os.stat(lock)):
                os.utime(fd)
                return fd
        os.close(fd)
        return None

    def _make(self, name: str, make: Callable[[Path], None]) -> None:
        # Whoever removes what dead makers left must not meet a draft that is not locked yet.
        with self._lock(_GATE, fcntl.LOCK_SH):
            draft = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._folder))
            fd = os.open(draft / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            (draft / "content").mkdir(mode=0o755)
            make(draft / "content")
            size, file_count = _measured(draft / "content")
            (draft / "size").write_text(f"{size} {file_count}", "ascii")
            with suppress(OSError):  # somebody else was first
                draft.rename(self._folder / name)
        finally:
            os.close(fd)
            shutil.rmtree(draft, ignore_errors=True)
        with self._lock(_GATE, fcntl.LOCK_EX):
            self._make_room(name)

    @contextmanager
    def _sole_maker(self, name: str) -> Iterator[None]:
        """Wait until nobody else makes this entry, on any thread of any process."""
        with self._lock(f"{_MAKER}{zlib.crc32(name.encode()) % _MAKERS}", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _lock(self, name: str, kind: int) -> Iterator[None]:
        fd = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, kind)
            yield
        finally:
            os.close(fd)

    def _make_room(self, keep: str) -> None:
        """Remove what dead makers left, then the entries used longest ago, until the rest fits."""
        entries = []
        for entry in list(self._folder.iterdir()):
            if entry.name.startswith((_UNFINISHED, _GONE)):
                self._remove(entry)
                continue
            with suppress(OSError, ValueError):
                used = (entry / "lock").stat().st_mtime_ns
                entries.append((used, int((entry / "size").read_text("ascii").split()[0]), entry))
        total = sum(size for _, size, _ in entries)
        for _, size, entry in sorted(entries):
            if total <= self._most_bytes:
                return
            if entry.name != keep and self._remove(entry):
                total -= size

    def _remove(self, entry: Path) -> bool:
        """Remove an entry that nobody uses or makes; return whether it is gone."""
        try:
            fd = os.open(entry / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gone = entry
            if not entry.name.startswith(_GONE):
                gone = entry.with_name(f"{_GONE}{entry.name}-{os.getpid()}")
                entry.rename(gone)
        except OSError:
            return False
        else:
            shutil.rmtree(gone, ignore_errors=True)
            return True
        finally:
            os.close(fd)


def _measured(folder: Path) -> tuple[int, int]:
    """Return the bytes of what is in a folder, in whole pages, and how many files and folders."""
    size = count = 0
    for here, folders, names in os.walk(folder):
        for name in (*folders, *names):
            status = os.lstat(os.path.join(here, name))
            count += 1
            size += -(-status.st_size // _PAGE) * _PAGE if stat.S_ISREG(status.st_mode) else 0
    return size, count

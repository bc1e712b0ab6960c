"""Knows who writes to a bare repository, and removes lock files that dead writers left behind.

Each writing git process inherits a shared `flock` on a file in the repository, so the lock is held as long as
the process writes, even if its parent died. A long-lived git process inherits the open file once; its parent
acquires and releases the lock on that same open file around each write. Should the parent die in between, the
lock stays until git, whose input ended with its parent, has ended too.

A `*.lock` file is stale when nobody holds that flock, no other git process works in the repository, and the
file was unchanged for the grace period on the monotonic clock of this process (which covers git processes of
other machines and containers). A process with GUARDED on its command line need not be looked for: it holds
lock files only while it holds the flock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from artifacts.git.process import GitFailed

RECOVERY_SECONDS = 60.0
GUARDED = "multi-agent.guarded=true"

_QUICK_TRIES = 3
_PATIENCE_SECONDS = 10.0
_GATE, _WRITERS, _MOVER = "multi-agent-gate", "multi-agent-writers", "multi-agent-mover"
_TOP_LOCKS = ("HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock")

_T = TypeVar("_T")


class WriteGuard:
    """Runs writes on one repository and removes stale lock files that block them."""

    def __init__(self, git_dir: Path, grace_seconds: float) -> None:
        self._git_dir = git_dir
        self._grace = grace_seconds
        self._seen: dict[Path, tuple[int, int, float]] = {}

    @contextmanager
    def writing(self) -> Iterator[int]:
        """Yield a descriptor that the writing git process must inherit."""
        with _opened(self._git_dir / _WRITERS) as fd:
            self._join(fd)
            yield fd

    def open(self) -> int:
        """Open a descriptor for `holding`, which a long-lived git process must inherit."""
        return _open(self._git_dir / _WRITERS)

    @contextmanager
    def holding(self, fd: int) -> Iterator[None]:
        """Hold the flock for a write by the process that inherited `fd`."""
        self._join(fd)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Let one process at a time read refs and move them, so that no value changes in between.

        Only a courtesy: a stopped holder is not waited for longer than 10 s, and git compares the old values
        all the same.
        """
        with _opened(self._git_dir / _MOVER) as fd:
            _acquired(fd)
            yield

    def _join(self, fd: int) -> None:
        # Whoever removes lock files holds the gate, so that a steady stream of writers cannot block it.
        with _flock(self._git_dir / _GATE, fcntl.LOCK_SH):
            fcntl.flock(fd, fcntl.LOCK_SH)

    def persist(self, write: Callable[[], _T]) -> _T:
        """Repeat an idempotent `write` despite stale locks and killed processes. Raises GitFailed."""
        failures, started = 0, time.monotonic()
        while True:
            try:
                return write()
            except GitFailed as error:
                failures += 1
                waiting = self.clear() and time.monotonic() - started < RECOVERY_SECONDS
                if error.returncode is None or (failures >= _QUICK_TRIES and not waiting):
                    raise
            time.sleep(min(0.05 * failures, 1.0))

    def clear(self) -> bool:
        """Remove stale lock files; return whether there was any lock file, stale or not."""
        locks = {path: stamp for path in self._lock_files() if (stamp := _stamp(path))}
        now = time.monotonic()
        self._seen = {
            path: known if (known := self._seen.get(path)) and known[:2] == stamp else (*stamp, now)
            for path, stamp in locks.items()
        }
        old = [path for path, (_, _, since) in self._seen.items() if now - since >= self._grace]
        if old and not _git_works_in(self._git_dir):
            self._remove(old)
        return bool(locks)

    def _remove(self, paths: list[Path]) -> None:
        with _flock(self._git_dir / _GATE, fcntl.LOCK_EX), _opened(self._git_dir / _WRITERS) as fd:
            if not _acquired(fd):
                return
            for path in paths:
                if _stamp(path) == self._seen[path][:2]:
                    path.unlink(missing_ok=True)

    def _lock_files(self) -> Iterator[Path]:
        for name in _TOP_LOCKS:
            yield self._git_dir / name
        for folder, _, names in os.walk(self._git_dir / "refs"):
            yield from (Path(folder, name) for name in names if name.endswith(".lock"))


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = _open(path)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _flock(path: Path, kind: int) -> Iterator[None]:
    with _opened(path) as fd:
        fcntl.flock(fd, kind)
        yield


def _acquired(fd: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        else:
            return True


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def _git_works_in(git_dir: Path) -> bool:
    """Whether a git process that may write has the repository open, as far as /proc shows."""
    here = str(git_dir.resolve())
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            cwd = str((entry / "cwd").readlink())
        except OSError:
            continue
        program = Path(os.fsdecode(words[0])).name
        reads_only = b"cat-file" in words or b"daemon" in words or program == "git-daemon"
        if (
            program.startswith("git")
            and not reads_only
            and GUARDED.encode() not in words
            and (cwd == here or here in os.fsdecode(b" ".join(words)))
        ):
            return True
    return False

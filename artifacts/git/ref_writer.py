"""Moves refs, all of a call or none, with one long-lived `git update-ref`.

Git makes one ref durable after the other, and so waits for the disk once for each ref. Here it is told not
to. After its `prepare` the new values are in lock files, which its `commit` renames; in between they are all
made durable at the same time, so that the file system can do it in one operation.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from artifacts.git.long_lived_process import GitDialogue, LongLivedGit
from artifacts.git.process import answers_at_once, failure, run
from artifacts.git.write_guard import WriteGuard

_WORDS = ("update-ref", "--stdin")
_MOST_REFS = 20_000
_AT_ONCE = 8
NOTHING = "0" * 40
"""Stands for a ref that does not exist."""


class RefChange(NamedTuple):
    """A new value of a ref."""

    ref: str
    new: str
    """NOTHING deletes it."""
    old: str | None = None
    """The only value that it may have now, None for any."""


class RefWriter:
    """Moves and deletes refs. Safe to use from several threads. Raises GitFailed, StoreUnavailable."""

    def __init__(self, git_dir: Path, guard: WriteGuard) -> None:
        self._git_dir, self._guard = git_dir, guard
        # Formats other than one file for each ref have no such lock files, and an older git answers too late.
        self._stays = answers_at_once() and not (git_dir / "reftable").exists()
        self._git = LongLivedGit(git_dir, GitDialogue(_WORDS, _MOST_REFS, ("core.fsync=none",)), guard=guard)

    def update(self, changes: Sequence[RefChange]) -> None:
        """Apply all changes or none; durable on return."""
        if not changes:
            return
        lines = [" ".join(("update", *(part for part in change if part is not None))) for change in changes]
        if not self._stays or any(change.new == NOTHING for change in changes):
            # A deletion may write all packed refs anew, which must be durable before they take their place.
            self._run(lines)
            return
        begin = "".join(f"{line}\n" for line in ("start", *lines, "prepare")).encode()
        with self._git.asking(len(changes)) as ask:
            ask(begin, 2)
            self._make_durable([change.ref for change in changes])
            ask(b"commit\n", 1)

    def delete(self, refs: Sequence[tuple[str, str]]) -> None:
        """Delete refs that have these values; all or none."""
        self._run([f"delete {ref} {old}" for ref, old in refs])

    def close(self) -> None:
        """End the process; the next update starts another."""
        self._git.close()

    def _run(self, lines: Sequence[str]) -> None:
        text = "".join(f"{line}\n" for line in ("start", *lines, "commit")).encode()
        with self._guard.writing() as held:
            run(_WORDS, git_dir=self._git_dir, stdin=text, inherit=(held,))

    def _make_durable(self, refs: Sequence[str]) -> None:
        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(_sync, (self._git_dir / f"{ref}.lock" for ref in refs)))
        except OSError as error:
            raise failure(_WORDS[0], 0, str(error).encode()) from None


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

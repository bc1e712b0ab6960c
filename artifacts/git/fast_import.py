"""Writes commits: what a commit changes, and the `git fast-import` that stores it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from artifacts.git.long_lived_process import GitDialogue, LongLivedGit
from artifacts.git.process import run

FILE_MODE, SYMLINK_MODE, SUBMODULE_MODE = b"100644", b"120000", b"160000"

# Without --done a truncated stream would count as complete.
_WORDS = ("fast-import", "--quiet", "--done", "--force", "--date-format=raw")
_BRANCH = b"refs/multi-agent/import"
_MOST_COMMITS = 5_000
_DAY_SECONDS = 86_400
_RECORD = b"metadata.json"
_KEPT = b"fast-import"
_LEFT_BEHIND = ("fast_import_crash_*", "objects/pack/tmp_pack_*", "objects/pack/pack-*.keep")


@dataclass(frozen=True, slots=True)
class Put:
    """A file's new content."""

    path: bytes
    mode: bytes
    content: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """A path that gets an object the store already has."""

    path: bytes
    mode: bytes
    oid: str


@dataclass(frozen=True, slots=True)
class Drop:
    """A file that is deleted."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit before it is written."""

    ref: str
    parents: tuple[str, ...]
    role: str
    """Part of the author's address; must be a plain word."""
    when: int
    """Seconds since 1970."""
    message: bytes
    changes: tuple[Put | Link | Drop, ...]
    """Against the first parent, drops first."""
    record: bytes | None = None
    """What is stored beside the commit, outside its tree."""

    @property
    def size(self) -> int:
        """Bytes of the contents."""
        files = sum(len(change.content) for change in self.changes if isinstance(change, Put))
        return files + len(self.record or b"")


class Written(NamedTuple):
    """A draft that was written."""

    commit: str
    holder: str
    """What its ref must point at to keep commit and record: the commit itself where it has no record, else
    one on top of it, whose tree is the record alone."""


class Importer:
    """Writes the objects of drafts with one long-lived `git fast-import`.

    It moves no ref: each commit is made on a branch that is emptied again before anything is written out. So
    it creates no lock file, and never resets a ref that somebody else has moved meanwhile.

    Every import becomes a pack, or loose objects if there are 100 or fewer (fastimport.unpackLimit). So a
    store has at most one pack for each hundred objects.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        dialogue = GitDialogue(_WORDS, _MOST_COMMITS, goodbye=b"done\n")
        self._git = LongLivedGit(git_dir, dialogue, before=lambda: _sweep(git_dir))

    def write(self, drafts: Sequence[Draft]) -> list[Written]:
        """Write commits durably; return their names. Again is a no-op. Raises GitFailed, StoreUnavailable."""
        commits = _with_holders(drafts)
        with self._git.asking(len(commits)) as ask:
            return _written(drafts, ask(b"".join(_stream(commits)), len(commits)))

    def write_packed(self, drafts: Sequence[Draft]) -> list[Written]:
        """Write a pack even for few objects: its fresh copies win over damaged loose objects."""
        # The long-lived process assumes that what it wrote before is still there.
        self._git.close()
        stream = b"".join(_stream(_with_holders(drafts))) + b"done\n"
        args = ["-c", "fastimport.unpackLimit=1", *_WORDS]
        return _written(drafts, run(args, git_dir=self._git_dir, stdin=stream).split())

    def close(self) -> None:
        """End the process; the next write starts another."""
        self._git.close()


def _with_holders(drafts: Sequence[Draft]) -> list[Draft]:
    """The drafts, each followed by the holder of its record; their marks count from 1."""
    commits: list[Draft] = []
    for draft in drafts:
        commits.append(draft)
        if draft.record is not None:
            changes = (Drop(b""), Put(_RECORD, FILE_MODE, draft.record))
            below = (f":{len(commits)}",)
            holder = replace(draft, parents=below, message=b"metadata\n", changes=changes, record=None)
            commits.append(holder)
    return commits


def _written(drafts: Sequence[Draft], names: Sequence[bytes]) -> list[Written]:
    left = iter(name.decode() for name in names)
    return [Written(commit := next(left), commit if draft.record is None else next(left)) for draft in drafts]


def _stream(drafts: Sequence[Draft]) -> Iterator[bytes]:
    for mark, draft in enumerate(drafts, start=1):
        yield from _commit(mark, draft)
    yield b"reset %s\n\ncheckpoint\n\n" % _BRANCH
    # Answered after the checkpoint, when everything is written.
    for mark in range(1, len(drafts) + 1):
        yield b"get-mark :%d\n" % mark


def _sweep(git_dir: Path) -> None:
    """Remove what killed imports left behind at least a day ago."""
    limit = time.time() - _DAY_SECONDS
    for path in chain.from_iterable(git_dir.glob(pattern) for pattern in _LEFT_BEHIND):
        with suppress(OSError):
            if path.stat().st_mtime < limit and (path.suffix != ".keep" or path.read_bytes() == _KEPT):
                path.unlink()


def _commit(mark: int, draft: Draft) -> Iterator[bytes]:
    # Without the reset a root commit would become the child of the commit before.
    yield b"reset %s\ncommit %s\nmark :%d\n" % (_BRANCH, _BRANCH, mark)
    role = draft.role.encode()
    yield b"committer multi-agent <%s@multi-agent.invalid> %d +0000\n" % (role, draft.when)
    yield _data(draft.message)
    for index, parent in enumerate(draft.parents):
        yield b"%s %s\n" % (b"merge" if index else b"from", parent.encode())
    for change in draft.changes:
        yield from _change(change)
    yield b"\n"


def _change(change: Put | Link | Drop) -> Iterator[bytes]:
    path = _quoted(change.path)
    if isinstance(change, Drop):
        yield b"D %s\n" % path
    elif isinstance(change, Link):
        yield b"M %s %s %s\n" % (change.mode, change.oid.encode(), path)
    else:
        yield b"M %s inline %s\n" % (change.mode, path)
        yield _data(change.content)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _quoted(path: bytes) -> bytes:
    plain = b"".join(
        bytes([byte]) if 0x20 <= byte < 0x7F and byte not in b'"\\' else b"\\%03o" % byte for byte in path
    )
    return b'"%s"' % plain

"""Commits on their way into the store: what a commit changes, and the `git fast-import` that writes them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from artifacts.git.long_lived_process import LongLivedGit
from artifacts.git.process import run

SYMLINK_MODE, SUBMODULE_MODE = b"120000", b"160000"

# Without --done a stream cut short would pass for a complete one.
_WORDS = ("fast-import", "--quiet", "--done", "--force", "--date-format=raw")
_BRANCH = b"refs/multi-agent/import"
_MOST_COMMITS = 5_000
_DAY_SECONDS = 86_400
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
    """A path that takes over an object the store already has."""

    path: bytes
    mode: bytes
    oid: str


@dataclass(frozen=True, slots=True)
class Drop:
    """A file that goes away."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A commit before it is written: `changes` are against the first parent, drops first.

    `role` makes the author's address and must be a plain word; `when` is seconds since 1970.
    """

    ref: str
    parents: tuple[str, ...]
    role: str
    when: int
    message: bytes
    changes: tuple[Put | Link | Drop, ...]

    @property
    def size(self) -> int:
        """Bytes of file content it carries."""
        return sum(len(change.content) for change in self.changes if isinstance(change, Put))


class Importer:
    """Writes the objects of drafts with one `git fast-import` that stays.

    It moves no ref: each commit is made on a branch that is emptied again before anything is written out. So
    it makes no lock file, and never sets back a ref that somebody else has moved since.

    Every import ends as a pack, or, with 100 objects or fewer (fastimport.unpackLimit), as loose objects; so
    a store has at most one pack for each hundred objects.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._git = LongLivedGit(
            git_dir, _WORDS, goodbye=b"done\n", before=lambda: _sweep(git_dir), most=_MOST_COMMITS
        )

    def write(self, drafts: Sequence[Draft]) -> list[str]:
        """The commits' names; they are durable then. Raises GitFailed, StoreUnavailable; again is a no-op."""
        with self._git.asking(len(drafts)) as ask:
            return [line.decode() for line in ask(b"".join(_stream(drafts)), len(drafts))]

    def write_packed(self, drafts: Sequence[Draft]) -> list[str]:
        """The same into a pack even for few objects: a fresh copy wins over a damaged loose one."""
        # The process that stays takes for granted that what it wrote before is still there.
        self._git.close()
        stream = b"".join(_stream(drafts)) + b"done\n"
        args = ["-c", "fastimport.unpackLimit=1", *_WORDS]
        return run(args, git_dir=self._git_dir, stdin=stream).decode().split()

    def close(self) -> None:
        """End the process; the next write starts another."""
        self._git.close()


def _stream(drafts: Sequence[Draft]) -> Iterator[bytes]:
    for mark, draft in enumerate(drafts, start=1):
        yield from _commit(mark, draft)
    yield b"reset %s\n\ncheckpoint\n\n" % _BRANCH
    # Answered after the checkpoint, so when all is written.
    for mark in range(1, len(drafts) + 1):
        yield b"get-mark :%d\n" % mark


def _sweep(git_dir: Path) -> None:
    """Remove what killed imports left behind a day ago or longer."""
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

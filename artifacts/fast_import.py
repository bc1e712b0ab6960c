"""Commits on their way into the store: what a commit changes, and one `git fast-import` for many of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from artifacts.git_process import run

SYMLINK_MODE, SUBMODULE_MODE = b"120000", b"160000"


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


def import_drafts(git_dir: Path, drafts: Sequence[Draft], inherit: int, *, pack: bool) -> list[str]:
    """Write all drafts and their refs, and return the commits' names. Raises GitFailed; again is a no-op.

    `pack` writes a pack even for few objects: a fresh copy wins over a damaged loose one.
    """
    stream = b"".join(_stream(drafts))
    # Without --done a stream cut short would pass for a complete one.
    args = ["fast-import", "--quiet", "--done", "--force", "--date-format=raw"]
    if pack:
        args = ["-c", "fastimport.unpackLimit=1", *args]
    out = run(args, git_dir=git_dir, stdin=stream, inherit=(inherit,))
    return out.decode().split()


def _stream(drafts: Sequence[Draft]) -> Iterator[bytes]:
    for mark, draft in enumerate(drafts, start=1):
        yield from _commit(mark, draft)
    for mark in range(1, len(drafts) + 1):
        yield b"get-mark :%d\n" % mark
    yield b"done\n"


def _commit(mark: int, draft: Draft) -> Iterator[bytes]:
    ref = draft.ref.encode()
    if not draft.parents:
        # Two root commits for one ref in a stream would otherwise become a chain.
        yield b"reset %s\n" % ref
    yield b"commit %s\nmark :%d\n" % (ref, mark)
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

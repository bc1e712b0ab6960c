"""Reads and parses objects of a bare repository, with a cache."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from artifacts.git.cat_file import CatFile, GitObject, too_large
from artifacts.git.lru_cache import LruCache
from contracts.base.errors import ArtifactError

TREE_MODE = b"40000"
FILE_MODES = frozenset({b"100644", b"100755", b"100664"})

_SMALL_BYTES, _KEPT_BYTES = 65_536, 32_000_000
# Roughly what Python needs for a cached file besides its content.
_FOUND_BYTES = 500


class TreeEntry(NamedTuple):
    """What a tree holds under a name."""

    mode: bytes
    """As Git writes it, without leading zeros."""
    oid: str

    @property
    def is_tree(self) -> bool:
        return self.mode == TREE_MODE


Tree = Mapping[bytes, TreeEntry]


@dataclass(frozen=True, slots=True)
class Commit:
    """A parsed commit."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    when: int
    """The committer's time in seconds since 1970."""
    message: str
    role: str = ""
    """Part of the committer's address, where the store wrote it: the agent's role, or `merge`."""

    @property
    def trailers(self) -> dict[str, str]:
        return parse_trailers(self.message)


def parse_trailers(message: str) -> dict[str, str]:
    """Parse the `Key: value` lines of the last paragraph; a repeated key keeps its last value."""
    last = message.rstrip("\n").rsplit("\n\n", 1)[-1]
    pairs = (line.partition(": ") for line in last.split("\n"))
    return {key: value for key, colon, value in pairs if colon}


class ObjectReader:
    """Reads objects by name. Safe to use from several threads; `close` ends the process behind it."""

    def __init__(self, git_dir: Path) -> None:
        self._git = CatFile(git_dir)
        self._trees: LruCache[Tree] = LruCache(4_096)
        self._commits: LruCache[Commit] = LruCache(16_384)
        self._blobs: LruCache[GitObject] = LruCache(_KEPT_BYTES, _room)

    def read(self, name: str) -> GitObject | None:
        """Read the object that `name` (an id, a full ref, or `<ref>:<path>`) refers to, None without one."""
        return next(self.read_all([name]))

    def read_all(self, names: Sequence[str], *, max_bytes: int | None = None) -> Iterator[GitObject | None]:
        """Read each name from the store, in order. Raises ArtifactError before more than `max_bytes`."""
        return self._git.read_all(names, max_bytes=max_bytes)

    def blobs(self, oids: Sequence[str], *, max_bytes: int) -> list[GitObject | None]:
        """Like `read_all` for the ids of files, of which small ones are cached."""
        known = {oid: kept for oid in oids if (kept := self._blobs.get(oid))}
        left = max_bytes - sum(len(known[oid].content) for oid in oids if oid in known)
        if left < 0:
            raise too_large()
        fresh = iter(self.read_all([oid for oid in oids if oid not in known], max_bytes=left))
        return [known.get(oid) or self._kept(next(fresh)) for oid in oids]

    def close(self) -> None:
        """End the process; the next read starts another."""
        self._git.close()

    def _kept(self, found: GitObject | None) -> GitObject | None:
        if found is not None and len(found.content) <= _SMALL_BYTES:
            self._blobs.put(found.oid, found)
        return found

    def commit(self, oid: str) -> Commit:
        """Read a commit. Raises ArtifactError when the store does not hold it."""
        known = self._commits.get(oid)
        if known is not None:
            return known
        found = self.read(oid)
        if found is None or found.kind != b"commit":
            raise ArtifactError(f"the store holds no readable commit {oid}; `git fsck` in it shows damage")
        return self.remember_commit(found)

    def remember_commit(self, found: GitObject) -> Commit:
        """Parse a commit that was read, and cache it."""
        commit = _parse_commit(found)
        self._commits.put(commit.oid, commit)
        return commit

    def tree(self, oid: str) -> Tree:
        """Read the entries of a tree. Raises ArtifactError when it is missing."""
        known = self._trees.get(oid)
        if known is not None:
            return known
        found = self.read(oid)
        if found is None or found.kind != b"tree":
            raise ArtifactError(f"tree {oid} is missing; `git fsck` in the store shows what else is")
        tree = _parse_tree(found.content)
        self._trees.put(oid, tree)
        return tree

    def lookup(self, tree: str, path: bytes) -> TreeEntry | None:
        """Find the entry of a path, None when there is none."""
        entry: TreeEntry | None = TreeEntry(TREE_MODE, tree)
        for name in path.split(b"/"):
            if entry is None or not entry.is_tree:
                return None
            entry = self.tree(entry.oid).get(name)
        return entry

    def walk(self, tree: str, prefix: bytes = b"") -> Iterator[tuple[bytes, TreeEntry]]:
        """Yield all paths of a tree that are not folders, with their entries."""
        for name, entry in self.tree(tree).items():
            if entry.is_tree:
                yield from self.walk(entry.oid, prefix + name + b"/")
            else:
                yield prefix + name, entry

    def diff(self, old: str | None, new: str | None, prefix: bytes = b"") -> Iterator[PathChange]:
        """Yield the paths that differ between two trees (None: empty). Equal subtrees are not read."""
        if old == new:
            return
        before: Tree = self.tree(old) if old else {}
        after: Tree = self.tree(new) if new else {}
        for name in sorted(before.keys() | after.keys()):
            one, two = before.get(name), after.get(name)
            if one != two:
                yield from self._entry_diff(prefix + name, one, two)

    def _entry_diff(self, path: bytes, one: TreeEntry | None, two: TreeEntry | None) -> Iterator[PathChange]:
        file_one = one if one and not one.is_tree else None
        file_two = two if two and not two.is_tree else None
        if file_one or file_two:
            yield PathChange(path, file_one, file_two)
        tree_one = one.oid if one and one.is_tree else None
        tree_two = two.oid if two and two.is_tree else None
        yield from self.diff(tree_one, tree_two, path + b"/")


class PathChange(NamedTuple):
    """A path's entries in two trees; None where it is absent or a folder."""

    path: bytes
    old: TreeEntry | None
    new: TreeEntry | None


def blob_name(content: bytes) -> str:
    """The name that Git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _room(found: GitObject) -> int:
    return len(found.content) + _FOUND_BYTES


def _parse_commit(found: GitObject) -> Commit:
    head, _, message = found.content.partition(b"\n\n")
    tree, when, role, parents = "", 0, "", []
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree":
            tree = value.decode()
        elif key == b"parent":
            parents.append(value.decode())
        elif key == b"committer":
            when, role = _time(value), _role(value)
    return Commit(found.oid, tree, tuple(parents), when, message.decode("utf-8", "replace"), role)


def _role(committer: bytes) -> str:
    found = re.search(rb" <([^<>@]*)@multi-agent\.invalid> ", committer)
    return found[1].decode("utf-8", "replace") if found else ""


def _time(committer: bytes) -> int:
    """Parse the time; 0 where an old or unusual program wrote none that can be read."""
    found = re.search(rb"> (-?[0-9]{1,18}) [-+][0-9]+\Z", committer)
    return int(found[1]) if found else 0


def _parse_tree(content: bytes) -> Tree:
    entries: dict[bytes, TreeEntry] = {}
    position = 0
    while position < len(content):
        space = content.index(b" ", position)
        end = content.index(b"\0", space)
        entries[content[space + 1 : end]] = TreeEntry(
            content[position:space], content[end + 1 : end + 21].hex()
        )
        position = end + 21
    return entries

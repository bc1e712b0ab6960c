"""Reading objects of a bare repository through one long-lived `git cat-file --batch`."""

from __future__ import annotations

import subprocess
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock
from typing import IO, Generic, NamedTuple, TypeVar

from artifacts.git_process import command, environment
from contracts.errors import ArtifactError

TREE_MODE = b"40000"
FILE_MODES = frozenset({b"100644", b"100755", b"100664"})

# Requests ahead of the first answer must fit the pipe, or both sides wait for each other.
_AHEAD_BYTES = 32_000

_V = TypeVar("_V")


class Entry(NamedTuple):
    """What a tree holds under a name: `mode` as Git writes it, without leading zeros."""

    mode: bytes
    oid: str

    @property
    def is_tree(self) -> bool:
        return self.mode == TREE_MODE


Tree = Mapping[bytes, Entry]


@dataclass(frozen=True, slots=True)
class Commit:
    """A parsed commit; `when` is the committer's time in seconds since 1970."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    when: int
    message: str

    @property
    def trailers(self) -> dict[str, str]:
        return parse_trailers(self.message)


@dataclass(frozen=True, slots=True)
class Found:
    """An answer of cat-file."""

    oid: str
    kind: bytes
    content: bytes


def parse_trailers(message: str) -> dict[str, str]:
    """`Key: value` lines of the last paragraph; a repeated key keeps its last value."""
    last = message.rstrip("\n").rsplit("\n\n", 1)[-1]
    pairs = (line.partition(": ") for line in last.split("\n"))
    return {key: value for key, colon, value in pairs if colon}


class _Recent(Generic[_V]):
    """A bounded map for several threads that forgets what was used longest ago."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = Lock()
        self._items: OrderedDict[str, _V] = OrderedDict()

    def get(self, key: str) -> _V | None:
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def put(self, key: str, value: _V) -> None:
        with self._lock:
            self._items[key] = value
            if len(self._items) > self._size:
                self._items.popitem(last=False)


class _Ended(Exception):
    """The process ended over the object of this name: it was killed, or the object is damaged."""


class ObjectReader:
    """Reads objects by name. Safe to use from several threads; `close` ends the process."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._lock = RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._trees: _Recent[Tree] = _Recent(4_096)
        self._commits: _Recent[Commit] = _Recent(16_384)

    def read(self, name: str) -> Found | None:
        """The object that `name` (an id, a full ref, or `<ref>:<path>`) stands for, None without one."""
        return next(self.read_all([name]))

    def read_all(self, names: Sequence[str], *, max_bytes: int | None = None) -> Iterator[Found | None]:
        """One answer a name, in order. Raises ArtifactError before more than `max_bytes` are held."""
        left = max_bytes
        for start, end in _chunks(names):
            with self._lock:
                found = self._exchange(names[start:end], left)
            if left is not None:
                left -= sum(len(one.content) for one in found if one)
            yield from found

    def commit(self, oid: str) -> Commit:
        """Raises ArtifactError when the store holds no such commit."""
        known = self._commits.get(oid)
        if known is not None:
            return known
        found = self.read(oid)
        if found is None or found.kind != b"commit":
            raise ArtifactError(f"the store holds no readable commit {oid}; `git fsck` in it tells of damage")
        return self.remember_commit(found)

    def remember_commit(self, found: Found) -> Commit:
        """Parse a commit that was read and keep it at hand."""
        commit = _parse_commit(found)
        self._commits.put(commit.oid, commit)
        return commit

    def tree(self, oid: str) -> Tree:
        """The entries of a tree. Raises ArtifactError when it is missing."""
        known = self._trees.get(oid)
        if known is not None:
            return known
        found = self.read(oid)
        if found is None or found.kind != b"tree":
            raise ArtifactError(f"tree {oid} is missing; `git fsck` in the store tells what else is")
        tree = _parse_tree(found.content)
        self._trees.put(oid, tree)
        return tree

    def lookup(self, tree: str, path: bytes) -> Entry | None:
        """The entry of a path, None when there is none."""
        entry: Entry | None = Entry(TREE_MODE, tree)
        for name in path.split(b"/"):
            if entry is None or not entry.is_tree:
                return None
            entry = self.tree(entry.oid).get(name)
        return entry

    def walk(self, tree: str, prefix: bytes = b"") -> Iterator[tuple[bytes, Entry]]:
        """All paths of a tree with what is no folder."""
        for name, entry in self.tree(tree).items():
            if entry.is_tree:
                yield from self.walk(entry.oid, prefix + name + b"/")
            else:
                yield prefix + name, entry

    def diff(self, old: str | None, new: str | None, prefix: bytes = b"") -> Iterator[Change]:
        """Paths that differ between two trees (None: empty). Equal subtrees are not read."""
        if old == new:
            return
        before: Tree = self.tree(old) if old else {}
        after: Tree = self.tree(new) if new else {}
        for name in sorted(before.keys() | after.keys()):
            one, two = before.get(name), after.get(name)
            if one != two:
                yield from self._entry_diff(prefix + name, one, two)

    def _entry_diff(self, path: bytes, one: Entry | None, two: Entry | None) -> Iterator[Change]:
        file_one = one if one and not one.is_tree else None
        file_two = two if two and not two.is_tree else None
        if file_one or file_two:
            yield Change(path, file_one, file_two)
        tree_one = one.oid if one and one.is_tree else None
        tree_two = two.oid if two and two.is_tree else None
        yield from self.diff(tree_one, tree_two, path + b"/")

    def close(self) -> None:
        """End the process; the next read starts another."""
        with self._lock:
            self._stop()

    def _exchange(self, names: Sequence[str], max_bytes: int | None) -> list[Found | None]:
        """One question; asked once more when the process ended over it, since anybody may have killed it."""
        try:
            return self._ask(names, max_bytes)
        except _Ended:
            pass
        try:
            return self._ask(names, max_bytes)
        except _Ended as error:
            raise ArtifactError(
                f"object {error} cannot be read; `git fsck` in the store tells what is damaged"
            ) from None

    def _ask(self, names: Sequence[str], max_bytes: int | None) -> list[Found | None]:
        process = self._started()
        try:
            stdin, stdout = _pipes(process)
            stdin.write("".join(f"{name}\n" for name in names).encode())
            stdin.flush()
            found: list[Found | None] = []
            for name in names:
                one = _answer(stdout, name, max_bytes)
                if one and max_bytes is not None:
                    max_bytes -= len(one.content)
                found.append(one)
            return found
        except BrokenPipeError:
            self._stop()
            raise _Ended(names[0]) from None
        except BaseException:
            # Unread answers would be taken for those of the next question.
            self._stop()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            self._process = subprocess.Popen(
                command(self._git_dir, ["cat-file", "--batch"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment(),
                start_new_session=True,
            )
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe:
                    pipe.close()
            except BrokenPipeError:
                continue
        process.wait()


class Change(NamedTuple):
    """A path's entries in two trees; None where it is absent or a folder."""

    path: bytes
    old: Entry | None
    new: Entry | None


def _chunks(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for index, name in enumerate(names):
        size += len(name.encode()) + 1
        if size > _AHEAD_BYTES and index > start:
            yield start, index
            start, size = index, len(name.encode()) + 1
    if start < len(names):
        yield start, len(names)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise ArtifactError("git cat-file has no pipes")
    return process.stdin, process.stdout


def _answer(stdout: IO[bytes], name: str, max_bytes: int | None) -> Found | None:
    header = stdout.readline()
    parts = header.split()
    if header.endswith(b" missing\n"):
        return None
    if len(parts) != 3 or not parts[2].isdigit():
        raise _Ended(name)
    size = int(parts[2])
    if max_bytes is not None and size > max_bytes:
        raise ArtifactError("the files are larger together than the reader allows")
    content = stdout.read(size)
    if len(content) != size or stdout.read(1) != b"\n":
        raise _Ended(name)
    return Found(parts[0].decode(), parts[1], content)


def _parse_commit(found: Found) -> Commit:
    head, _, message = found.content.partition(b"\n\n")
    tree, when, parents = "", 0, []
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree":
            tree = value.decode()
        elif key == b"parent":
            parents.append(value.decode())
        elif key == b"committer":
            when = int(value.rsplit(b" ", 2)[-2])
    return Commit(found.oid, tree, tuple(parents), when, message.decode("utf-8", "replace"))


def _parse_tree(content: bytes) -> Tree:
    entries: dict[bytes, Entry] = {}
    position = 0
    while position < len(content):
        space = content.index(b" ", position)
        end = content.index(b"\0", space)
        entries[content[space + 1 : end]] = Entry(content[position:space], content[end + 1 : end + 21].hex())
        position = end + 21
    return entries

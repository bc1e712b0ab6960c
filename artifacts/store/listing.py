"""The files of a commit, listed without their contents, and contents by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from artifacts.git import ref_names
from artifacts.git.in_thread import in_thread
from artifacts.git.objects import FILE_MODES, ObjectReader
from artifacts.git.process import run
from artifacts.store.importing import find_base, git_folder
from artifacts.store.repository import safe_path
from contracts.base.errors import ArtifactError


class TreeRow(NamedTuple):
    """What a tree holds at a path, folders aside."""

    mode: bytes
    oid: str
    size: int
    """In bytes; 0 for a submodule."""
    path: bytes


class ListedFile(NamedTuple):
    """A regular file whose name contracts.base.paths allows."""

    path: str
    oid: str
    size: int


def list_tree(git_dir: Path, commit: str) -> Iterator[TreeRow]:
    """Yield all of a commit's tree, by path. Raises ArtifactError for one that is missing."""
    args = ["ls-tree", "-r", "-l", "-z", "--full-tree", ref_names.commit_name(commit)]
    for row in run(args, git_dir=git_dir).split(b"\0")[:-1]:
        about, _, path = row.partition(b"\t")
        mode, _, oid, digits = about.split()
        yield TreeRow(mode, oid.decode(), int(digits) if digits.isdigit() else 0, path)


class Trees:
    """Files of commits, read without a copy of all of them in memory.

    ensure: makes sure that a commit is here, where a store may have it elsewhere.
    """

    def __init__(self, git_dir: Path, objects: ObjectReader, ensure: Callable[[str], None]) -> None:
        self._git_dir, self._objects, self._ensure = git_dir, objects, ensure

    async def list_files(self, commit: str) -> list[ListedFile]:
        """The regular files of a commit, sorted by path. Raises ArtifactError for one that is missing."""
        return await in_thread(self._list, commit)

    async def list_names(self, commit: str) -> list[str]:
        """Every path of a commit, folders aside; bytes that are no text as escapes. Raises as list_files."""
        return await in_thread(self._names, commit)

    async def read_files(self, oids: Sequence[str]) -> list[bytes]:
        """The contents of files. Raises ArtifactError for one that is missing."""
        return await in_thread(self._read, oids)

    async def close(self) -> None:
        """End the process behind it, where nobody else uses it."""
        await in_thread(self._objects.close)

    def _list(self, commit: str) -> list[ListedFile]:
        self._ensure(commit)
        rows = list_tree(self._git_dir, commit)
        return sorted(
            ListedFile(path, row.oid, row.size)
            for row in rows
            if row.mode in FILE_MODES and (path := safe_path(row.path))
        )

    def _names(self, commit: str) -> list[str]:
        self._ensure(commit)
        args = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", ref_names.commit_name(commit)]
        names = run(args, git_dir=self._git_dir).split(b"\0")[:-1]
        return [name.decode("utf-8", "backslashreplace") for name in names]

    def _read(self, oids: Sequence[str]) -> list[bytes]:
        contents = []
        for oid, blob in zip(oids, self._objects.read_all(oids), strict=True):
            if blob is None:
                raise ArtifactError(
                    f"object {oid} is missing; `git fsck` shows what else is, "
                    "and in a partial clone `git fetch --refetch --no-filter` gets the rest"
                )
            contents.append(blob.content)
        return contents


def open_trees(source: Path, rev: str = "HEAD") -> tuple[Trees, str]:
    """Read a user's repository where it is; return also the commit of `rev`.

    Raises InvalidInput as importing.import_base.
    """
    source = source.absolute()
    commit = find_base(source, rev)
    git_dir = git_folder(source)
    return Trees(git_dir, ObjectReader(git_dir), lambda _: None), commit

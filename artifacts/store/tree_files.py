"""TreeFiles of contracts.ports on a repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from artifacts.git.cat_file import TooLarge
from artifacts.git.objects import FILE_MODES, ObjectReader
from artifacts.store.repository import Repository, safe_path
from contracts.base.errors import ArtifactError
from contracts.ports.tree_files import TreeFiles

_LARGEST: Final = 2**31


class CommitFiles(TreeFiles):
    """The files of one commit. The reader keeps small contents for a while, within a limit for all."""

    def __init__(self, commit: str, names: dict[str, str], objects: ObjectReader) -> None:
        self._commit, self._names, self._objects = commit, names, objects

    @property
    def commit(self) -> str:
        return self._commit

    @property
    def content_names(self) -> Mapping[str, str]:
        return self._names

    def __getitem__(self, path: str) -> bytes:
        return self._read(path, _LARGEST)

    def read(self, path: str, most: int) -> bytes | None:
        try:
            return self._read(path, most)
        except TooLarge:
            return None

    def _read(self, path: str, most: int) -> bytes:
        name = self._names[path]
        [blob] = self._objects.blobs([name], max_bytes=most)
        if blob is None:
            raise ArtifactError(
                f"file {path!r} of commit {self._commit} is missing in the store (object {name})"
            )
        return blob.content

    def __contains__(self, path: object) -> bool:
        return path in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def open_tree(repository: Repository, commit: str) -> CommitFiles:
    """List the files of a commit. Raises ArtifactError for one that is missing."""
    repository.ensure([commit])
    walk = repository.objects.walk(repository.objects.commit(commit).tree)
    names = {path: entry.oid for raw, entry in walk if entry.mode in FILE_MODES and (path := safe_path(raw))}
    return CommitFiles(commit, names, repository.objects)

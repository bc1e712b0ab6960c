"""What differs between the trees of two commits, with contents."""

from __future__ import annotations

from typing import Final

from artifacts.git.fast_import import SUBMODULE_MODE, SYMLINK_MODE
from artifacts.git.objects import TreeEntry
from artifacts.store.repository import Repository
from contracts.base.errors import ArtifactError
from contracts.ports.trees import TreeChanges, TreeFile

_PROGRAM: Final = b"100755"


def changes_between(repository: Repository, old: str, new: str, max_bytes: int) -> TreeChanges:
    """Read what makes the tree of one commit that of another; either name may be that of a tree itself.

    A file whose mode differs is among the deleted ones too. Raises ArtifactError, also for a submodule.
    """
    objects = repository.objects
    found = list(objects.diff(_tree(repository, old), _tree(repository, new)))
    deleted = tuple(_text(path) for path, before, after in found if before and _mode(before) != _mode(after))
    there = [(path, after) for path, _, after in found if after is not None]
    if any(entry.mode == SUBMODULE_MODE for _, entry in there):
        raise ArtifactError(f"commits {old} and {new} differ in a submodule")
    blobs = objects.blobs([entry.oid for _, entry in there], max_bytes=max_bytes)
    files = {}
    for (path, entry), blob in zip(there, blobs, strict=True):
        if blob is None:
            raise ArtifactError(f"file {_text(path)!r} of commit {new} is missing in the store")
        files[_text(path)] = TreeFile(
            blob.content, executable=entry.mode == _PROGRAM, is_link=entry.mode == SYMLINK_MODE
        )
    return TreeChanges(deleted, files)


def _tree(repository: Repository, name: str) -> str:
    repository.obtain([name])
    found = repository.objects.read(name)
    if found is not None and found.kind == b"tree":
        return name
    repository.ensure([name])
    return repository.objects.commit(name).tree


def _mode(entry: TreeEntry | None) -> bytes | None:
    return entry and entry.mode


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")

"""What a commit holds, and what of it agents are not given; read without its contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from artifacts.git.objects import FILE_MODES
from artifacts.store.listing import list_tree
from artifacts.store.repository import Repository, safe_path

_SUBMODULE: Final = b"160000"
_POINTER: Final = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_BYTES: Final = range(100, 1_024)


@dataclass(frozen=True, slots=True)
class TreeSurvey:
    """The size of a tree as agents see it, and paths that are not what they seem; links are not counted."""

    files: int
    bytes: int
    names: tuple[str, ...]
    """Files whose names contracts.base.paths refuses, sorted; bytes that are no text as escapes."""
    submodules: tuple[str, ...]
    pointers: tuple[str, ...]
    """Files that stand for data in Git LFS."""


def survey_tree(repository: Repository, commit: str) -> TreeSurvey:
    """Survey the tree of a commit. Raises ArtifactError for one that is missing."""
    repository.ensure([commit])
    names, submodules, files = [], [], []
    for mode, oid, size, raw in list_tree(repository.git_dir, commit):
        path = safe_path(raw)
        shown = raw.decode("utf-8", "backslashreplace")
        if mode == _SUBMODULE:
            submodules.append(shown)
        elif mode in FILE_MODES and path is None:
            names.append(shown)
        elif mode in FILE_MODES:
            files.append((shown, oid, size))
    small = [(path, oid) for path, oid, size in files if size in _POINTER_BYTES]
    found = repository.objects.read_all([oid for _, oid in small])
    pointers = [
        path
        for (path, _), blob in zip(small, found, strict=True)
        if blob is not None and blob.content.startswith(_POINTER)
    ]
    total = sum(size for _, _, size in files)
    return TreeSurvey(len(files), total, tuple(sorted(names)), tuple(submodules), tuple(pointers))

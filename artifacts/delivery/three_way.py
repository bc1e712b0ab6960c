"""What a user's commit becomes with a workflow's changes: the three-way merge, path by path.

Contents are merged by `git merge-file` on plain files, so no merge driver and no attribute has a say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from artifacts.git.objects import FILE_MODES, ObjectReader, PathChange, TreeEntry
from artifacts.git.process import GitFailed, run
from contracts.base.errors import ArtifactError

_SUBMODULE: Final = b"160000"
_CONFLICT: Final = TreeEntry(b"conflict", "")
_MOST_BYTES: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """What a path shall become."""

    path: bytes
    before: TreeEntry | None
    """Of the user's commit; None for none."""
    after: TreeEntry | None
    """None for a file that goes."""


@dataclass(frozen=True, slots=True)
class MergedChanges:
    """What changes in the user's commit."""

    targets: tuple[Target, ...]
    already: tuple[bytes, ...]
    """Paths that are there as the workflow left them."""
    conflicts: tuple[bytes, ...]
    """Paths that both sides changed, in ways that do not fit together."""


class ThreeWay:
    """Merges changes into a tree.

    scratch: a repository that sees the objects of both sides; merged contents are written to it.
    """

    def __init__(self, scratch: Path, reader: ObjectReader) -> None:
        self._scratch = scratch
        self._reader = reader

    def merge(self, changes: Sequence[PathChange], tree: str | None) -> MergedChanges:
        """Merge. `tree` is that of the user's commit, None before the first one. Raises ArtifactError."""
        targets, already, conflicts = [], [], []
        for change in changes:
            ours = self._ours(tree, change.path)
            if ours == change.new:
                already.append(change.path)
            elif (merged := self._merged(change, ours)) is _CONFLICT:
                conflicts.append(change.path)
            else:
                targets.append(Target(change.path, ours, merged))
        return MergedChanges(tuple(targets), tuple(already), tuple(conflicts))

    def _ours(self, tree: str | None, path: bytes) -> TreeEntry | None:
        found = self._reader.lookup(tree, path) if tree else None
        return None if found is None or found.is_tree else found

    def _merged(self, change: PathChange, ours: TreeEntry | None) -> TreeEntry | None:
        """What a path becomes: an entry, None for nothing, or _CONFLICT."""
        old, new = change.old, change.new
        if _SUBMODULE in {entry.mode for entry in (old, new, ours) if entry}:
            return _CONFLICT
        if ours == old:
            return new
        if old is None or new is None or ours is None:
            return _CONFLICT
        if not {old.mode, new.mode, ours.mode} <= FILE_MODES:
            return _CONFLICT
        mode = new.mode if ours.mode == old.mode else ours.mode
        oid = self._merged_content(ours.oid, old.oid, new.oid)
        return TreeEntry(mode, oid) if oid else _CONFLICT

    def _merged_content(self, ours: str, old: str, new: str) -> str | None:
        """The object of the merged text; None for a conflict, or what is no text."""
        if ours == old:
            return new
        if old == new:
            return ours
        files = []
        blobs = self._reader.blobs([ours, old, new], max_bytes=_MOST_BYTES)
        for name, blob in zip(("ours", "old", "new"), blobs, strict=True):
            if blob is None:
                raise ArtifactError(f"object {name} of a merge is missing")
            files.append(self._scratch / f"merge-{name}")
            files[-1].write_bytes(blob.content)
        try:
            merged = run(["merge-file", "-p", "--quiet", *map(str, files)], cwd=self._scratch)
        except GitFailed:
            return None
        return run(["hash-object", "-w", "--stdin"], git_dir=self._scratch, stdin=merged).decode().strip()

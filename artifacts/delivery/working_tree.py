"""Puts a workflow's changes into the working tree of the user's repository, or leaves it as it is.

Nothing is staged and nothing is committed. Everything is checked before anything is written; what fails
afterwards, or is interrupted, is undone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from artifacts.delivery.differences import EMPTY_TREE
from artifacts.delivery.placing import Placing
from artifacts.delivery.scratch import Scratch, scratch_over
from artifacts.delivery.three_way import MergedChanges, Target, ThreeWay
from artifacts.delivery.users_repository import IndexEntry, UsersRepository
from artifacts.git.objects import ObjectReader
from artifacts.store.repository import Repository
from contracts.base.errors import InvalidInput, MergeConflict
from contracts.base.refs import METADATA_FOLDER

_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the working tree."""

    written: tuple[str, ...]
    deleted: tuple[str, ...]
    already: int
    """Files that were as the workflow left them."""


def apply_to_tree(repository: Repository, base: str | None, commit: str, user: UsersRepository) -> Applied:
    """Make the changes from a commit's base to it in the user's working tree.

    Raises InvalidInput for a repository without one and for files with changes that are not committed,
    MergeConflict for files that both sides changed; nothing is changed then. ArtifactError for what the store
    does not hold.
    """
    if user.top is None:
        raise InvalidInput(f"repository {user.shown}: is bare, without a working tree; use --branch NAME")
    repository.ensure([commit] if base is None else [base, commit])
    with scratch_over(user, user.top, repository.git_dir) as scratch:
        reader = ObjectReader(scratch.git_dir)
        try:
            merged = _merged(scratch, reader, base, commit, user)
        finally:
            reader.close()
        return _applied(scratch, merged, user, user.top)


def _merged(
    scratch: Scratch, reader: ObjectReader, base: str | None, commit: str, user: UsersRepository
) -> MergedChanges:
    head = user.head()
    old = reader.commit(base).tree if base else EMPTY_TREE
    differ = reader.diff(None if base is None else old, reader.commit(commit).tree)
    changes = [change for change in differ if not change.path.startswith(METADATA_FOLDER.encode())]
    merged = ThreeWay(scratch.git_dir, reader).merge(changes, reader.commit(head).tree if head else None)
    if merged.conflicts:
        strange = base is not None and user.find(base) is None
        hint = f"; it does not have the commit {base} that the work started from" if strange else ""
        raise MergeConflict(
            f"repository {user.shown}: was changed in the same places as {_named(merged.conflicts)}; "
            f"nothing was changed{hint}; take it to a branch with --branch NAME, and merge that"
        )
    return merged


def _applied(scratch: Scratch, merged: MergedChanges, user: UsersRepository, top: Path) -> Applied:
    after = {one.path: one.after for one in merged.targets if one.after is not None}
    scratch.set_index(after)
    differing = scratch.differing()
    index = user.index()
    left = [one for one in merged.targets if _is_left(one, differing, index, top)]
    if touched := _touched(scratch, left, index, top):
        raise InvalidInput(
            f"repository {user.shown}: has what is not committed in {_named(sorted(touched))}; "
            "nothing was changed; commit or stash it, or use --branch NAME"
        )
    new = [one.path for one in left if one.after is not None]
    gone = [one.path for one in left if one.after is None]
    scratch.set_index(after)
    scratch.write(new)
    with Placing(top, scratch.stage) as placing:
        placing.place(gone, new)
        user.include([path for path in (*new, *gone) if path in index and index[path].skipped])
    already = len(merged.already) + len(merged.targets) - len(left)
    return Applied(tuple(map(_text, new)), tuple(map(_text, gone)), already)


def _is_left(
    target: Target, differing: frozenset[bytes], index: Mapping[bytes, IndexEntry], top: Path
) -> bool:
    if target.after is not None:
        return target.path in differing
    entry = index.get(target.path)
    return os.path.lexists(os.path.join(os.fsencode(top), target.path)) or bool(entry and entry.skipped)


def _touched(
    scratch: Scratch, left: Sequence[Target], index: Mapping[bytes, IndexEntry], top: Path
) -> set[bytes]:
    """Paths where something of the user would be lost."""
    scratch.set_index({one.path: one.before for one in left if one.before is not None})
    changed = scratch.differing()
    gone = {one.path for one in left if one.after is None}
    touched = {one.path for one in left if _is_touched(one, changed, index, top)}
    return touched | {path for one in left for path in _in_the_way(one, gone, top)}


def _is_touched(
    target: Target, changed: frozenset[bytes], index: Mapping[bytes, IndexEntry], top: Path
) -> bool:
    entry, before = index.get(target.path), target.before
    there = os.path.lexists(os.path.join(os.fsencode(top), target.path))
    if before is None:
        return entry is not None or (there and not os.path.isdir(os.path.join(os.fsencode(top), target.path)))
    if entry is None or not entry.merged or (entry.mode, entry.oid) != (before.mode, before.oid):
        return True
    return target.path in changed and not (entry.skipped and not there)


def _in_the_way(target: Target, gone: set[bytes], top: Path) -> Iterator[bytes]:
    """Paths that are no part of the change and stand where it would write."""
    if target.after is None:
        return
    root = os.fsencode(top)
    parts = target.path.split(b"/")
    for parent in (b"/".join(parts[:depth]) for depth in range(1, len(parts))):
        full = os.path.join(root, parent)
        if os.path.lexists(full) and (os.path.islink(full) or not os.path.isdir(full)) and parent not in gone:
            yield parent
    full = os.path.join(root, target.path)
    if os.path.isdir(full) and not os.path.islink(full):
        for folder, _, names in os.walk(full):
            paths = (os.path.relpath(os.path.join(folder, name), root) for name in names)
            yield from (path for path in paths if path not in gone)


def _named(paths: Iterable[bytes]) -> str:
    shown = list(map(_text, paths))
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")

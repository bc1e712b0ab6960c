"""Merges by path, without a work tree: what to change in the first parent so that it holds all parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from artifacts.git.objects import ObjectReader, PathChange, TreeEntry
from artifacts.merge.history_graph import History, HistoryGraph
from artifacts.merge.tree_check import check_fit
from contracts.base.errors import MergeConflict, UnsafePath

# Marks a path on which the bases of a merge differ: equal to no entry, so that both sides must agree on it.
_DISPUTED = TreeEntry(b"disputed", "")


@dataclass(frozen=True, slots=True)
class MergedTree:
    """The tree of `parents[0]` with changes."""

    parents: tuple[str, ...]
    """Without those that another one contains."""
    overlay: dict[bytes, TreeEntry | None]
    """Path -> its new entry, None for a file that is deleted."""


class Merger:
    """Three-way merges of any number of commits; several best common ancestors are merged first."""

    def __init__(self, git_dir: Path, reader: ObjectReader) -> None:
        self._git_dir = git_dir
        self._reader = reader

    def merge(self, parents: Sequence[str]) -> MergedTree:
        """Merge. Raises MergeConflict naming the path, and the tasks and commits that disagree."""
        merged = self._merge(parents, lenient=False)
        if len(merged.parents) > 1:
            try:
                check_fit(self._reader, self._reader.commit(merged.parents[0]).tree, merged.overlay)
            except UnsafePath as error:
                whose = ", ".join(self._label(commit) for commit in merged.parents[:10])
                raise MergeConflict(f"{error}; merging {whose}") from None
        return merged

    def _merge(self, parents: Sequence[str], *, lenient: bool) -> MergedTree:
        tips = list(dict.fromkeys(parents))
        if len(tips) < 2:
            return MergedTree(tuple(tips), {})
        graph = HistoryGraph(History(self._git_dir, self._reader), tips)
        if len(tips := graph.independent) < 2:
            return MergedTree(tuple(tips), {})
        work = _Union(self._reader, tips[0])
        graph.join(tips[0])
        for tip in tips[1:]:
            changes = self._changes(graph.join(tip), tip)
            for path in work.apply(changes, lenient=lenient):
                raise MergeConflict(self._conflict(path, tip, tips[: tips.index(tip)], work))
        return MergedTree(tuple(tips), work.overlay)

    def _changes(self, bases: list[str], tip: str) -> list[PathChange]:
        tree = self._reader.commit(tip).tree
        if not bases:
            return list(self._reader.diff(None, tree))
        base = self._merge(bases, lenient=True)
        plain = self._reader.diff(self._reader.commit(base.parents[0]).tree, tree)
        changes = {change.path: change for change in plain}
        for path, old in base.overlay.items():
            changes[path] = PathChange(path, old, _file(self._reader.lookup(tree, path)))
        return [change for change in changes.values() if change.old != change.new]

    def _conflict(self, path: bytes, tip: str, before: list[str], work: _Union) -> str:
        current = work.current(path)
        other = next(
            (
                one
                for one in before
                if _file(self._reader.lookup(self._reader.commit(one).tree, path)) == current
            ),
            before[0],
        )
        name = path.decode("utf-8", "replace")
        return f"path {name!r}: changed differently by {self._label(other)} and {self._label(tip)}"

    def _label(self, commit: str) -> str:
        task = self._reader.commit(commit).trailers.get("Task-Id")
        return f"task {task} (commit {commit})" if task else f"commit {commit}"


class _Union:
    """The tree of the first parent with the changes of the other parents so far."""

    def __init__(self, reader: ObjectReader, first: str) -> None:
        self._reader = reader
        self._tree = reader.commit(first).tree
        self.overlay: dict[bytes, TreeEntry | None] = {}

    def current(self, path: bytes) -> TreeEntry | None:
        return self.overlay[path] if path in self.overlay else _file(self._reader.lookup(self._tree, path))

    def apply(self, changes: list[PathChange], *, lenient: bool) -> list[bytes]:
        """Apply changes to paths that are as before; return the path in dispute, if any, unless `lenient`."""
        for path, old, new in changes:
            current = self.current(path)
            if current == new:
                continue
            if current == old:
                self.overlay[path] = new
            elif lenient:
                self.overlay[path] = _DISPUTED
            else:
                return [path]
        return []


def _file(entry: TreeEntry | None) -> TreeEntry | None:
    return None if entry is None or entry.is_tree else entry

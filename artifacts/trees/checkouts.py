"""Makes checkouts and keeps them; one that is like another costs little more than what differs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from artifacts.store.repository import Repository
from artifacts.trees.making import Maker
from contracts.base.errors import ArtifactError
from contracts.base.processes.folder_cache import CachedFolder, FolderCache
from contracts.ports.trees import Checkout

_LOOKED_AT: Final = 100
"""Commits among which a near one is looked for."""


@dataclass(frozen=True, slots=True)
class _Near:
    """A commit of which everything is kept."""

    commit: str
    files: CachedFolder
    index: CachedFolder


class Checkouts:
    """Checkouts of a repository. Blocking, for one thread at a time."""

    def __init__(self, repository: Repository, maker: Maker, cache: FolderCache) -> None:
        self._repository, self._maker, self._cache = repository, maker, cache

    def open(self, hold: ExitStack, commit: str, tree: str) -> Checkout:
        """Return a commit with a tree in its folder; it is kept until `hold` is closed."""
        found = self._nearest(commit)
        near = None if found is None else self._near(hold, found)
        files = self._files(hold, tree, near)
        index = self._index(hold, commit, tree, files, near)
        layers = (index, *self._histories(hold, commit, near), files)
        return Checkout(
            tree,
            tuple(one.content for one in layers),
            sum(one.size for one in layers),
            sum(one.file_count for one in layers),
        )

    def _nearest(self, commit: str) -> str | None:
        """The commit itself, or the nearest that it follows from, of which everything is kept."""
        level, seen = [commit], 0
        while level and seen < _LOOKED_AT:
            for one in level:
                tree = self._tree(one)
                if all(map(self._cache.has, (_history(one), _files(tree), _index(one, tree)))):
                    return one
            seen += len(level)
            try:
                level = list(dict.fromkeys(up for one in level for up in self._parents(one)))
            except ArtifactError:  # a shallow clone's history ends somewhere
                return None
        return None

    def _near(self, hold: ExitStack, commit: str) -> _Near:
        tree = self._tree(commit)
        files = self._files(hold, tree, None)
        return _Near(commit, files, self._index(hold, commit, tree, files, None))

    def _files(self, hold: ExitStack, tree: str, near: _Near | None) -> CachedFolder:
        def make(folder: Path) -> None:
            if near is None:
                self._maker.tree(tree, folder)
            else:
                self._maker.tree_like(tree, near.files.content, near.index.content, folder)

        return hold.enter_context(self._cache.using(_files(tree), make))

    def _index(
        self, hold: ExitStack, commit: str, tree: str, files: CachedFolder, near: _Near | None
    ) -> CachedFolder:
        known = None if near is None else near.index.content
        return hold.enter_context(
            self._cache.using(
                _index(commit, tree),
                lambda folder: self._maker.index(commit, files.content, folder, known),
            )
        )

    def _histories(self, hold: ExitStack, commit: str, near: _Near | None) -> list[CachedFolder]:
        """The folders that are together its `.git`, the first on top."""

        def make(folder: Path) -> None:
            self._repository.refresh_tags()
            self._maker.history(commit, folder, without)

        without = "" if near is None or near.commit == commit else near.commit
        own = hold.enter_context(self._cache.using(_history(commit, without), make))
        return [own, *(self._histories(hold, without, None) if without else [])]

    def _tree(self, commit: str) -> str:
        return self._repository.objects.commit(commit).tree

    def _parents(self, commit: str) -> tuple[str, ...]:
        return self._repository.objects.commit(commit).parents


def _files(tree: str) -> str:
    return f"tree-{tree}"


def _index(commit: str, tree: str) -> str:
    return f"index-{commit}-{tree}"


def _history(commit: str, without: str = "") -> str:
    return f"history-{commit}-{without}" if without else f"history-{commit}"

"""Indexes of code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.ports.code_index import MAP_TOKENS, CodeIndex, RepositoryMap
from multi_agent.application.data_folder import make_data_folder
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from artifacts.store.listing import Trees

# The index is imported where it is built: it takes a while, and most tasks start from no repository.
# ruff: noqa: PLC0415

_FOLDER: Final = "code-index"


class _FirstUseIndex:
    """The index of the artifact store, imported and made for the first map."""

    def __init__(self, artifacts: GitArtifactStore, folder: Path) -> None:
        self._artifacts = artifacts
        self._folder = folder
        self._made: CodeIndex | None = None

    async def map(self, commit: str, request: str, *, tokens: int = MAP_TOKENS) -> RepositoryMap:
        """See CodeIndex."""
        if self._made is None:
            self._made = _index(self._artifacts.trees(), self._folder)
        return await self._made.map(commit, request, tokens=tokens)


def make_index(settings: Settings, artifacts: GitArtifactStore) -> CodeIndex:
    """The index of the code in the artifact store."""
    return _FirstUseIndex(artifacts, settings.data / _FOLDER)


def open_index(settings: Settings, repository: Path) -> tuple[CodeIndex, Trees, str]:
    """The index of a user's repository where it is, what it reads from, to be closed, and its commit.

    Raises InvalidInput for what is no repository, or has no commit.
    """
    from artifacts.store.listing import open_trees

    trees, commit = open_trees(repository)
    return _index(trees, make_data_folder(settings.data) / _FOLDER), trees, commit


def _index(trees: Trees, folder: Path) -> CodeIndex:
    from artifacts.code_index.cache import EntryCache
    from artifacts.code_index.index import Index

    return Index(trees, EntryCache(folder))

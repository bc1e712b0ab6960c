"""Trees on their way between the Git store and a folder. No tree passes through memory as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol


class TreeBase(NamedTuple):
    """What a workspace is opened at; both are named by 40 hex digits."""

    commit: str
    tree: str = ""
    """What lies in the folder; "" for the commit's own tree."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A tree in folders that nobody may change."""

    tree: str
    layers: tuple[Path, ...]
    """Together they are the work tree with its `.git`; the last one holds the tree's files alone."""
    size: int
    """Bytes of all files in whole pages, as they lie in memory."""
    file_count: int
    """Files and folders."""


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file's new state."""

    content: bytes
    """The target of a link."""
    executable: bool = False
    is_link: bool = False


@dataclass(frozen=True, slots=True)
class TreeChanges:
    """What differs from a tree."""

    deleted: tuple[str, ...]
    """Files and folders; a folder goes with all that the tree has in it, before `files` are added.

    A file that is in both is a new one, which does not keep the mode of the old one.
    """
    files: Mapping[str, TreeFile]


NO_CHANGES: Final = TreeChanges((), MappingProxyType({}))


class TreeStore(Protocol):
    """Gives out trees and takes changed ones. Raises ArtifactError; StoreUnavailable for a remote."""

    def checkout(self, base: TreeBase, *, most_files: int) -> AbstractAsyncContextManager[Checkout]:
        """A checkout to look at; it stays until the context ends. Raises InvalidInput for more files."""

    async def tree_of(self, base: TreeBase) -> str:
        """Name the tree of a base. Raises ArtifactError unless the store holds it."""

    async def write_tree(self, tree: str, changes: TreeChanges) -> str:
        """Write a tree that differs from a stored one; readable and durable when this returns.

        Raises InvalidInput for a change within a submodule.
        """

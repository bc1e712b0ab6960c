"""The port for trees, on a store and a cache of folders."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from artifacts.git.fast_import import FILE_MODE, SUBMODULE_MODE, SYMLINK_MODE, Draft, Drop, Link, Put
from artifacts.git.objects import TREE_MODE
from artifacts.git.ref_names import commit_name
from artifacts.store.repository import Repository
from artifacts.trees.checkouts import Checkouts
from artifacts.trees.making import Maker
from contracts.base.errors import InvalidInput, StoreUnavailable
from contracts.base.paths import check_tree
from contracts.base.processes.folder_cache import FolderCache
from contracts.base.processes.shortage import shortage_as
from contracts.base.refs import SNAPSHOTS
from contracts.ports.trees import Checkout, TreeBase, TreeChanges, TreeFile

CACHE_BYTES: Final = 10 * 1024**3
_PROGRAM: Final = b"100755"


@dataclass(frozen=True, slots=True)
class _Opened:
    checkout: Checkout
    hold: ExitStack


class GitTrees:
    """TreeStore of contracts.ports.

    folder: keeps checkouts; everything in it can be made again.
    owner: the user id that gets the files of checkouts, None for that of this process.
    """

    def __init__(
        self, repository: Repository, folder: Path, *, owner: int | None, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self._repository = repository
        self._maker = Maker(repository, owner)
        self._checkouts = Checkouts(repository, self._maker, FolderCache(folder, cache_bytes))
        # Two workspaces of this process that want the same tree must not both make it.
        self._making = Lock()

    @asynccontextmanager
    async def checkout(self, base: TreeBase, *, most_files: int) -> AsyncIterator[Checkout]:
        """See TreeStore."""
        async with AsyncExitStack() as stack:
            with shortage_as(StoreUnavailable):
                opened = await self._opened(base, most_files)
            stack.push_async_callback(asyncio.to_thread, opened.hold.close)
            yield opened.checkout

    async def _opened(self, base: TreeBase, most_files: int) -> _Opened:
        opening = asyncio.ensure_future(asyncio.to_thread(self._open, base, most_files))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The thread goes on, and nobody takes what it opens.
            opening.add_done_callback(_let_go)
            raise

    async def tree_of(self, base: TreeBase) -> str:
        """See TreeStore."""
        with shortage_as(StoreUnavailable):
            return await asyncio.to_thread(self._tree_of, base)

    async def write_tree(self, tree: str, changes: TreeChanges) -> str:
        """See TreeStore."""
        with shortage_as(StoreUnavailable):
            return await asyncio.to_thread(self._write, tree, changes)

    def _tree_of(self, base: TreeBase) -> str:
        repository = self._repository
        commit = commit_name(base.commit)
        repository.ensure([commit])
        tree = commit_name(base.tree) if base.tree else repository.objects.commit(commit).tree
        repository.obtain([tree])
        repository.objects.tree(tree)
        return tree

    def _open(self, base: TreeBase, most_files: int) -> _Opened:
        tree = self._tree_of(base)
        count = self._maker.file_count(tree)
        if count > most_files:
            raise InvalidInput(
                f"tree {tree}: has {count} files, limits.file_count allows {most_files}; allow more"
            )
        with self._making, ExitStack() as hold:
            checkout = self._checkouts.open(hold, base.commit, tree)
            return _Opened(checkout, hold.pop_all())

    def _write(self, tree: str, changes: TreeChanges) -> str:
        commit_name(tree)
        self._repository.obtain([tree])
        self._check(tree, changes)
        base = (Link(b"", TREE_MODE.rjust(6, b"0"), tree),)
        drops = tuple(Drop(_raw(path)) for path in changes.deleted)
        puts = tuple(_put(path, file) for path, file in changes.files.items())
        draft = Draft(
            ref=f"{SNAPSHOTS}/{_digest(tree, changes)}",
            parents=(),
            role="snapshot",
            when=int(time.time()),
            message=b"snapshot\n",
            changes=(*base, *drops, *puts),
        )
        (commit,) = self._repository.commit([draft])
        return self._repository.objects.commit(commit).tree

    def _check(self, tree: str, changes: TreeChanges) -> None:
        check_tree(changes.files)
        for path in changes.files:
            folder = path
            while folder := folder.rpartition("/")[0]:
                entry = self._repository.objects.lookup(tree, _raw(folder))
                if entry is not None and entry.mode == SUBMODULE_MODE:
                    raise InvalidInput(f"path {path!r}: lies in the submodule {folder!r}; remove it")


def _let_go(opening: asyncio.Future[_Opened]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().hold.close()


def _put(path: str, file: TreeFile) -> Put:
    mode = SYMLINK_MODE if file.is_link else _PROGRAM if file.executable else FILE_MODE
    return Put(_raw(path), mode, file.content)


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _digest(tree: str, changes: TreeChanges) -> str:
    digest = hashlib.sha256(tree.encode())
    for path in sorted(changes.deleted):
        digest.update(b"D%d %s" % (len(_raw(path)), _raw(path)))
    for path, file in sorted(changes.files.items()):
        put = _put(path, file)
        digest.update(b"P%d %s %s %d " % (len(put.path), put.path, put.mode, len(put.content)))
        digest.update(put.content)
    return digest.hexdigest()

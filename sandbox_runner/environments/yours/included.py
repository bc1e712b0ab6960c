"""Files of a user's work tree that `.worktreeinclude` names: there for programs, as long as a task lasts.

They are copied for the sandboxes that use them and removed after that. They are never sent anywhere: another
machine than that of the work tree goes without them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from contracts.base.errors import InvalidInput, UnsafePath
from contracts.base.paths import check_path
from contracts.base.processes.folder_cache import FolderCache
from contracts.ports.environments import CommitReader, Environments, PreparedEnvironment
from contracts.ports.workspace import NO_ENVIRONMENT, PrivateFiles
from sandbox_runner.environments.owning import give_to_programs
from sandbox_runner.environments.yours.work_trees import INCLUDE, WorkTrees

_MOST_FILES: Final = 1_000
_MOST_BYTES: Final = 20_000_000


class IncludedEnvironments:
    """The port: what another one gives, with files of the user's own among the tree's.

    named: (work tree, path of a file of patterns) -> untracked paths that it names; blocking.
    cache: keeps copies while they are used.
    """

    def __init__(
        self,
        environments: Environments,
        files: CommitReader,
        work_trees: WorkTrees,
        named: Callable[[Path, str], Sequence[str]],
        cache: FolderCache,
    ) -> None:
        self._environments, self._files = environments, files
        self._work_trees, self._named, self._cache = work_trees, named, cache

    @asynccontextmanager
    async def prepare(
        self, commit: str, say: Callable[[str], None]
    ) -> AsyncIterator[PreparedEnvironment | None]:
        """See Environments."""
        tracked = {file.path for file in await self._files.list_files(commit)}
        tree = await asyncio.to_thread(self._work_trees.of, commit)
        if tree is None:
            if INCLUDE in tracked:
                say(f"files that {INCLUDE} names are not on this machine: programs do not see them")
            async with self._environments.prepare(commit, say) as prepared:
                yield prepared
            return
        found = await asyncio.to_thread(self._found, tree, tracked)
        async with self._environments.prepare(commit, say) as prepared:
            if not found:
                yield prepared
                return
            digest = hashlib.sha256(json.dumps([str(tree), *found]).encode()).hexdigest()
            use = self._cache.using(digest, lambda folder: _copy(tree, [path for path, *_ in found], folder))
            entry = await asyncio.to_thread(use.__enter__)
            try:
                yield _with(prepared, PrivateFiles(str(entry.content), digest), len(found))
            finally:
                await asyncio.to_thread(use.__exit__, None, None, None)
                await asyncio.to_thread(self._cache.remove, digest)

    def _found(self, tree: Path, tracked: set[str]) -> list[tuple[str, int, int]]:
        """Path, size and time of each file. Raises InvalidInput above the limits."""
        found = []
        for path in self._named(tree, INCLUDE):
            try:
                status = os.lstat(tree / path)
            except OSError:
                continue  # gone since it was listed
            # A link may lead anywhere; what is tracked is in the tree.
            if stat.S_ISREG(status.st_mode) and path not in tracked and _is_usable(path):
                found.append((path, status.st_size, status.st_mtime_ns))
        size = sum(one[1] for one in found)
        for what, has, most in (("files", len(found), _MOST_FILES), ("bytes", size, _MOST_BYTES)):
            if has > most:
                raise InvalidInput(f"{INCLUDE}: names {has:,} {what}, the limit is {most:,}; name fewer")
        return found


def _is_usable(path: str) -> bool:
    try:
        return bool(check_path(path))
    except UnsafePath:
        return False


def _copy(tree: Path, paths: Sequence[str], folder: Path) -> None:
    for path in paths:
        (folder / path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        try:
            opened_source = os.open(tree / path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise InvalidInput(
                f"{INCLUDE}: {path}: {error.strerror}; make it readable, or name it no more"
            ) from None
        with open(opened_source, "rb") as source:
            mode = 0o700 if os.fstat(source.fileno()).st_mode & 0o100 else 0o600
            target = os.open(folder / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with open(target, "wb") as opened:
                opened.write(source.read(_MOST_BYTES))
    give_to_programs(folder)


def _with(prepared: PreparedEnvironment | None, files: PrivateFiles, count: int) -> PreparedEnvironment:
    name = f"{count} file{'' if count == 1 else 's'} of {INCLUDE}"
    if prepared is None:
        return PreparedEnvironment(replace(NO_ENVIRONMENT, private=files), name, files.hash)
    digest = hashlib.sha256(f"{prepared.hash} {files.hash}".encode()).hexdigest()
    environment = replace(prepared.environment, private=files)
    return PreparedEnvironment(environment, f"{prepared.name}, {name}", digest)

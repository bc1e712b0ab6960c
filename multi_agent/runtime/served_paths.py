"""Notices that what a process serves is not what its paths name any more."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from contracts.base.errors import FolderReplaced
from multi_agent.settings import Settings

WATCH_SECONDS = 1.0

T = TypeVar("T")


class ServedPaths:
    """Files and folders that must stay where they are while this process uses them.

    Somebody may move or delete a data folder, or put a backup in the place of a database. A process that has
    it open would go on with the old one, unseen by everybody else.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        """Remember what each path names now; those that do not exist are left out."""
        # Open descriptors, so that the number of a deleted file is not given to its successor.
        self._descriptors = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in paths if path.exists()}

    def check(self) -> None:
        """Raise FolderReplaced when a path names something else now."""
        for path, descriptor in self._descriptors.items():
            if not _names(path, descriptor):
                raise FolderReplaced(
                    f"{path} was moved, deleted or replaced while it was served, so it is served no more; "
                    "start again to serve what is there now"
                )

    async def watch(self) -> NoReturn:
        """Check every second. Raises FolderReplaced."""
        while True:
            self.check()
            await asyncio.sleep(WATCH_SECONDS)

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`; cancel it and raise FolderReplaced when a path is replaced meanwhile."""
        working, watching = asyncio.create_task(work), asyncio.create_task(self.watch())
        try:
            await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and not working.done():
                await watching
            return await working
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    def close(self) -> None:
        """Forget the paths."""
        descriptors, self._descriptors = self._descriptors, {}
        for descriptor in descriptors.values():
            os.close(descriptor)


def served_paths(settings: Settings) -> ServedPaths:
    """The data folder, its database, and the artifact store when it is on this machine; they must exist."""
    paths = [settings.data]
    if settings.database_url is None:
        paths.append(settings.data / "state.db")
    if "://" not in settings.artifacts:
        paths.append(Path(settings.artifacts))
    return ServedPaths(paths)


def _names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # a file system that does not answer says nothing

"""Which work tree of this machine a commit came from."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

INCLUDE: Final = ".worktreeinclude"
"""Names files of a work tree that programs need, by patterns in the form of `.gitignore`."""
_FOLDER: Final = "work-trees"


class WorkTrees:
    """Kept in a data folder, for those that have such a file."""

    def __init__(self, data: Path) -> None:
        self._folder = data / _FOLDER

    def remember(self, commit: str, work_tree: Path) -> None:
        """Keep where a commit came from last."""
        if not (work_tree / INCLUDE).is_file():
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{commit}-{os.getpid()}"
        draft.write_bytes(os.fsencode(work_tree.absolute()))
        draft.replace(self._folder / commit)

    def of(self, commit: str) -> Path | None:
        """The work tree, while it has such a file; None where that is not known here."""
        with suppress(FileNotFoundError):
            found = Path(os.fsdecode((self._folder / commit).read_bytes()))
            return found if (found / INCLUDE).is_file() else None
        return None

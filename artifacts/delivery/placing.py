"""Moves files to their places in a working tree, all or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType


class Placing:
    """As a context: whatever ends it with an exception, an interrupt included, undoes what was done.

    stage: a folder with the new files, below their paths.
    """

    def __init__(self, top: Path, stage: Path) -> None:
        self._top, self._stage = os.fsencode(top), os.fsencode(stage)
        self._kept = tempfile.mkdtemp(prefix=b"kept-", dir=os.fsencode(stage.parent))
        self._undo = ExitStack()

    def __enter__(self) -> Placing:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, _trace: TracebackType | None) -> None:
        if kind is not None:
            self._undo.close()
        shutil.rmtree(self._kept, ignore_errors=True)

    def place(self, gone: Sequence[bytes], new: Sequence[bytes]) -> None:
        """Delete files, with the folders that are empty then, and put new ones in place. Raises OSError."""
        for path in gone:
            if not os.path.lexists(self._at(path)):
                continue
            self._keep(path)
            os.unlink(self._at(path))
            self._drop_folders(os.path.dirname(path))
        for path in new:
            self._make_folders(os.path.dirname(path))
            self._keep(path)
            _put(os.path.join(self._stage, path), self._at(path))

    def _at(self, path: bytes) -> bytes:
        return os.path.join(self._top, path)

    def _keep(self, path: bytes) -> None:
        """Remember what is at a path, so that it can come back."""
        there = self._at(path)
        if not os.path.lexists(there):
            self._undo.callback(_remove, there)
            return
        kept = os.path.join(self._kept, path)
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        shutil.copy2(there, kept, follow_symlinks=False)
        self._undo.callback(_put, kept, there)

    def _drop_folders(self, folder: bytes) -> None:
        while folder and not os.listdir(self._at(folder)):
            mode = os.stat(self._at(folder)).st_mode & 0o7777
            self._undo.callback(os.chmod, self._at(folder), mode)
            self._undo.callback(os.mkdir, self._at(folder))
            os.rmdir(self._at(folder))
            folder = os.path.dirname(folder)

    def _make_folders(self, folder: bytes) -> None:
        if folder and not os.path.isdir(self._at(folder)):
            self._make_folders(os.path.dirname(folder))
            os.mkdir(self._at(folder))
            self._undo.callback(os.rmdir, self._at(folder))


def _put(source: bytes, target: bytes) -> None:
    """Copy a file or link to its place in one step, with its mode and time.

    The draft lies in a folder of its own: a tree can hold no file or link at its path.
    """
    with tempfile.TemporaryDirectory(prefix=b".multi-agent-", dir=os.path.dirname(target)) as folder:
        draft = os.path.join(folder, b"draft")
        shutil.copy2(source, draft, follow_symlinks=False)
        os.replace(draft, target)


def _remove(path: bytes) -> None:
    if os.path.lexists(path):
        os.unlink(path)

"""Changes the placed tree before the first command, and makes files read-only, while process 1 still may."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from typing import Any

from sandbox_runner.guest import isolate

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def prepare(plan: dict[str, Any], contents: bytes, isolation: dict[str, Any] | None) -> None:
    """Delete and write what `plan` says, in the tree's root. No link of the tree is followed.

    plan: {"deleted": [path], "files": [[path, size, mode]], "read_only": [path]}. A file that is there keeps
    its mode; a mode of None is that of a link, whose content is its target.
    """
    root = os.open(plan["workdir"], _FOLDER)
    with isolate.identity(isolation):
        for path in plan["deleted"]:
            _delete(root, os.fsencode(path))
        offset = 0
        for path, size, mode in plan["files"]:
            _write(root, os.fsencode(path), contents[offset : offset + size], mode)
            offset += size
        if isolation is None:
            # Nothing can be mounted.
            for path in plan["read_only"]:
                _withdraw_write(root, os.fsencode(path))
    os.fchdir(root)
    os.close(root)
    isolate.protect(isolation, plan["read_only"])


def _delete(root: int, path: bytes) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        _enter(root, os.path.dirname(path), make=False)
        _remove(os.path.basename(path))


def _write(root: int, path: bytes, content: bytes, mode: int | None) -> None:
    _enter(root, os.path.dirname(path), make=True)
    name = os.path.basename(path)
    with contextlib.suppress(FileNotFoundError):
        there = os.lstat(name).st_mode
        if mode is not None and stat.S_ISREG(there):
            mode = stat.S_IMODE(there)
        _remove(name)
    if mode is None:
        os.symlink(content, name)
        return
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def _withdraw_write(root: int, path: bytes) -> None:
    _enter(root, os.path.dirname(path), make=False)
    os.chmod(os.path.basename(path), 0o444)


def _enter(root: int, folder: bytes, *, make: bool) -> None:
    """Go to a folder of the tree; with `make` it and those above replace what else is there."""
    os.fchdir(root)
    for name in filter(None, folder.split(b"/")):
        if make and not _is_folder(name):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            os.mkdir(name, 0o755)
        inner = os.open(name, _FOLDER)
        os.fchdir(inner)
        os.close(inner)


def _is_folder(name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(name).st_mode)
    except FileNotFoundError:
        return False


def _remove(name: bytes) -> None:
    if _is_folder(name):
        shutil.rmtree(name)
    else:
        os.unlink(name)

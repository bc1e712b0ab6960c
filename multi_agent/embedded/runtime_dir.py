"""Folders for sockets: private, and short enough for the 108 bytes that a socket's path may have."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "multi-agent-"
_OWNER: Final = "owner"
_MAX_PATH_BYTES: Final = 100
_FALLBACK: Final = Path("/tmp")  # noqa: S108  # only a folder of mode 700 is made there


def make_runtime_dir(candidates: Sequence[Path], socket_name: str) -> Path:
    """A new folder of mode 700, in the first candidate, or /tmp, where the socket's path is short enough.

    Folders that a killed process left there, whose socket nobody answers, are removed on the way; not those
    of a living one, whose server may be about to start again.
    """
    for parent in (*candidates, _FALLBACK):
        if _fits(parent, socket_name):
            with suppress(OSError):
                parent.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(parent, socket_name)
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                (folder / _OWNER).write_text(str(os.getpid()))
                return folder
    raise OSError(f"no folder for a socket could be made in {', '.join(map(str, candidates))} or {_FALLBACK}")


def _fits(parent: Path, socket_name: str) -> bool:
    longest = parent.absolute() / f"{_PREFIX}12345678" / socket_name
    return len(os.fsencode(longest)) <= _MAX_PATH_BYTES


def _remove_abandoned(parent: Path, socket_name: str) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        path = folder / socket_name
        with suppress(OSError):
            mine = folder.stat().st_uid == os.getuid()
            if mine and path.is_socket() and not _owner_lives(folder) and _nobody_answers(path):
                shutil.rmtree(folder, ignore_errors=True)


def _owner_lives(folder: Path) -> bool:
    try:
        os.kill(int((folder / _OWNER).read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _nobody_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        return False

"""Makes private folders for sockets. The path of a socket may have at most 108 bytes."""

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
_PID_FILE: Final = "pid"
_MAX_PATH_BYTES: Final = 100
_FALLBACK: Final = Path("/tmp")  # noqa: S108  # only a folder of mode 700 is made there


def make_runtime_dir(candidates: Sequence[Path], socket_name: str) -> Path:
    """Make a folder of mode 700 in the first candidate, or /tmp, where the socket's path is short enough.

    Also removes folders that a killed process left there and whose socket nothing answers. A folder whose
    process lives is kept, because its server may be about to restart. Raises OSError when no folder can be
    made.
    """
    for parent in (*candidates, _FALLBACK):
        if _fits(parent, socket_name):
            with suppress(OSError):
                parent.mkdir(parents=True, exist_ok=True)
                _remove_abandoned(parent, socket_name)
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
                (folder / _PID_FILE).write_text(str(os.getpid()))
                return folder
    raise OSError(f"no folder for a socket could be made in {', '.join(map(str, candidates))} or {_FALLBACK}")


def _fits(parent: Path, socket_name: str) -> bool:
    longest = parent.absolute() / f"{_PREFIX}12345678" / socket_name
    return len(os.fsencode(longest)) <= _MAX_PATH_BYTES


def _remove_abandoned(parent: Path, socket_name: str) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        path = folder / socket_name
        with suppress(OSError):
            own = folder.stat().st_uid == os.getuid()
            if own and path.is_socket() and not _process_lives(folder) and _is_unanswered(path):
                shutil.rmtree(folder, ignore_errors=True)


def _process_lives(folder: Path) -> bool:
    try:
        os.kill(int((folder / _PID_FILE).read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _is_unanswered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        return False

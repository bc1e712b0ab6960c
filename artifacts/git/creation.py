"""Creates and recognises the bare repository of a store."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from artifacts.git.process import GitFailed, run
from contracts.base.errors import InvalidInput

# Also for a server that others push to (git daemon, sshd), which never sees our `-c` options.
# preciousObjects: between import and ref an object is unreachable, and `git gc --prune=now` would delete it.
_CONFIG = """\
[core]
\trepositoryFormatVersion = 1
\thooksPath = /dev/null
\tfsync = all
\tlogAllRefUpdates = false
[extensions]
\tpreciousObjects = true
[gc]
\tauto = 0
[receive]
\tautogc = false
\tfsckObjects = true
\tshallowUpdate = true
[uploadpack]
\tallowAnySHA1InWant = true
"""


def create_store(path: Path) -> Path:
    """Create a bare repository at `path` unless there is one, and return its absolute path.

    Safe when several processes do it at once. Raises InvalidInput when something else is there, NotConfigured
    without git.
    """
    path = path.absolute()
    if _is_free(path):
        draft = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
        draft.parent.mkdir(parents=True, exist_ok=True)
        run(
            [
                "init",
                "--quiet",
                "--bare",
                "--template=",
                "--object-format=sha1",
                "--initial-branch=main",
                str(draft),
            ]
        )
        with (draft / "config").open("a", encoding="utf-8") as config:
            config.write(_CONFIG)
            config.flush()
            os.fsync(config.fileno())
        try:
            draft.rename(path)
        except OSError:
            # Another process was first.
            shutil.rmtree(draft)
    return check_repository(path)


def check_repository(path: Path) -> Path:
    """Return the absolute path of a bare repository with SHA-1 names. Raises InvalidInput for others."""
    path = path.absolute()
    question = ["rev-parse", "--is-bare-repository", "--show-object-format"]
    try:
        answer = run(question, git_dir=path).decode().split()
    except GitFailed:
        raise InvalidInput(
            f"artifact store {str(path)!r}: is no Git repository; name a new or an empty folder"
        ) from None
    if answer != ["true", "sha1"]:
        raise InvalidInput(
            f"artifact store {str(path)!r}: must be a bare Git repository with SHA-1 object names"
        )
    return path


def _is_free(path: Path) -> bool:
    if not path.exists():
        return True
    return path.is_dir() and not any(path.iterdir())

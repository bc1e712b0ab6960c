"""Redis, empty at its start, or Valkey where that is what the machine has."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from contracts.ports.workspace import Service
from sandbox_runner.environments.interpreters import program_mounts
from sandbox_runner.environments.services.known import FoundService, missing, version_of
from sandbox_runner.workspace.beside import FOLDER

NAME: Final = "redis"
_PORT: Final = "6379"
_SETTINGS: Final = (
    *("--bind", "127.0.0.1", "-::1", "--port", _PORT, "--protected-mode", "no"),
    *("--dir", f"{FOLDER}/{NAME}", "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", ""),
)


def find_redis(search_path: str, _seconds: float) -> FoundService:
    """Find the server. See known.FindService."""
    names = ("redis-server", "valkey-server")
    found = next(filter(None, (shutil.which(name, path=search_path) for name in names)), None)
    if found is None:
        raise missing(NAME, f"there is no {' or '.join(names)} on PATH", "redis-server")
    server = Path(found).resolve()
    return FoundService(
        Service(NAME, (found, *_SETTINGS), "Ready to accept connections"),
        f"{NAME} {version_of(NAME, server)}",
        Path(found),
        {"REDIS_URL": f"redis://localhost:{_PORT}/0"},
        mounts=program_mounts(Path(found)),
    )

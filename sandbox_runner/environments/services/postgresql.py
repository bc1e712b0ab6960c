"""PostgreSQL, from a data folder that is made once."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from contracts.ports.workspace import Service
from sandbox_runner.engine.payload import UNPRIVILEGED
from sandbox_runner.environments.interpreters import program_mounts
from sandbox_runner.environments.services.known import FoundService, missing, version_of
from sandbox_runner.environments.steps import failed, run_outside
from sandbox_runner.workspace.beside import FOLDER

NAME: Final = "postgresql"
_PACKAGED: Final = ("/usr/lib/postgresql", "/usr/lib64/postgresql")
_SNAPSHOT: Final = f"/opt/services/{NAME}"
_DATA: Final = f"{FOLDER}/{NAME}/data"
_USER: Final = "postgres"
_PORT: Final = "5432"
_MAKE: Final = (
    *("--username", _USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8"),
    *("--lc-messages", "C", "--wal-segsize", "1", "--no-sync", "--no-instructions"),
)
_SETTINGS: Final = (
    "listen_addresses=localhost",
    f"port={_PORT}",
    "unix_socket_directories=/tmp",
    # What a crash would lose is thrown away anyway.
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    # Both within what the sandbox allows and counts.
    "dynamic_shared_memory_type=mmap",
    "shared_buffers=64MB",
    "max_wal_size=64MB",
    "min_wal_size=2MB",
    "logging_collector=off",
    "log_destination=stderr",
)
_START: Final = 'umask 077; cp -R "$1" "$2"; shift; data=$1; shift; exec "$@" -D "$data"'


def find_postgresql(search_path: str, seconds: float) -> FoundService:
    """Find the newest. See known.FindService."""
    programs = _programs(search_path)
    if programs is None:
        looked = f"there is no postgres on PATH, nor in {_PACKAGED[0]}/*/bin"
        raise missing(NAME, looked, "postgresql")
    server = programs / "postgres"
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    argv = ("sh", "-ec", _START, "sh", _SNAPSHOT, _DATA, str(server), *settings)
    url = f"postgresql://{_USER}:{_USER}@localhost:{_PORT}/{_USER}"
    named = {"PGHOST": "localhost", "PGPORT": _PORT, "PGUSER": _USER, "PGPASSWORD": _USER}

    async def make(folder: Path) -> None:
        await _initialise(programs / "initdb", folder, seconds)

    return FoundService(
        Service(NAME, argv, "database system is ready to accept connections"),
        f"{NAME} {version_of(NAME, server)}",
        server,
        {"DATABASE_URL": url, **named, "PGDATABASE": _USER},
        _SNAPSHOT,
        make,
        program_mounts(server),
    )


def _programs(search_path: str) -> Path | None:
    packaged = [path for root in _PACKAGED for path in Path(root).glob("*/bin") if _is_whole(path)]
    if packaged:
        return max(packaged, key=lambda path: [int(part) for part in re.findall(r"\d+", path.parent.name)])
    found = shutil.which("postgres", path=search_path)
    folder = Path(found).resolve().parent if found else None
    return folder if folder and _is_whole(folder) else None


def _is_whole(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))


async def _initialise(initdb: Path, folder: Path, seconds: float) -> None:
    """Make a data folder that sandboxes can read. initdb refuses to run as root."""
    with tempfile.TemporaryDirectory(prefix="multi-agent-initdb-") as place:
        user = None if os.geteuid() else UNPRIVILEGED
        if user is not None:
            os.chown(place, user, user)
        code, output = await run_outside(
            (str(initdb), "--pgdata", f"{place}/data", *_MAKE),
            folder=Path(place),
            variables={"PATH": os.defpath, "LANG": "C.UTF-8"},
            seconds=seconds,
            user=user,
        )
        if code != 0:
            why = f"{initdb} ended with {code}" if code else f"{initdb} did not end within {seconds:.0f} s"
            raise failed(f"service {NAME}", why, output, "mend what it says")
        await asyncio.to_thread(_keep, Path(place, "data"), folder / "data")


def _keep(made: Path, folder: Path) -> None:
    shutil.copytree(made, folder)
    for here, _, names in os.walk(folder):
        Path(here).chmod(0o755)
        for name in names:
            Path(here, name).chmod(0o644)

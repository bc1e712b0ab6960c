"""A private PostgreSQL server that can be killed."""

from __future__ import annotations

import asyncio
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from contracts.base.errors import NotConfigured, Unavailable
from multi_agent.embedded.child import ChildProcess

START_SECONDS = 60.0
# The tests kill processes; they do not simulate a power failure.
FAST = ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=32MB")


def postgres_programs() -> Path:
    """Find the folder with initdb and postgres. Raises NotConfigured when there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    folders = [*reversed(installed), *([Path(on_path).resolve().parent] if on_path else [])]
    usable = [folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()]
    if not usable:
        raise NotConfigured("PostgreSQL is not installed (Debian: apt install postgresql)")
    return usable[0]


def unprivileged() -> list[str]:
    """Return a prefix that runs a command as an unprivileged user, because postgres refuses root."""
    if os.getuid() != 0:
        return []
    name = _unprivileged_user()
    # Changing the user clears the parent-death signal that the guard has set; setpriv can set it again.
    return ["setpriv", f"--reuid={name}", f"--regid={pwd.getpwnam(name).pw_gid}", "--clear-groups"]


def _unprivileged_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _driver() -> Any:
    """The module psycopg, which an extra installs. Raises NotConfigured."""
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError:
        raise NotConfigured("PostgreSQL needs: pip install 'multi-agent[postgres]'") from None
    return psycopg


class PrivatePostgres:
    """A server on loopback and on a unix socket that is killed when this process ends."""

    def __init__(self) -> None:
        self._psycopg = _driver()
        self._programs = postgres_programs()
        # Short enough for the path of a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.port = free_port()
        self._data = self.folder / "data"
        self._numbers = itertools.count(1)
        settings = (
            *FAST,
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.folder}",
        )
        options = [word for setting in settings for word in ("-c", setting)]
        dying = ["--pdeathsig", "KILL"] if os.getuid() == 0 else []
        self._server = ChildProcess(
            [*unprivileged(), *dying, str(self._programs / "postgres"), "-D", str(self._data), *options],
            log=self.folder / "postgres.log",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        )

    def start(self) -> Self:
        """Start the server and wait until it answers. The first start creates its data.

        Raises Unavailable when it does not answer in time.
        """
        if not self._data.exists():
            self._initdb()
        deadline = time.monotonic() + START_SECONDS
        self._server.start()
        while not self._answers():
            if time.monotonic() > deadline:
                raise Unavailable(f"PostgreSQL did not start: {(self.folder / 'postgres.log').read_text()}")
            if not self._server.alive:
                # Backends of a killed server may keep its shared memory for a moment.
                self._server.start()
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop the server and remove its data."""
        self._server.signal(signal.SIGQUIT)
        self._server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server. Raises OSError."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    def kill(self, *, at_once: bool = True) -> None:
        """kill -9 the postmaster, or first stop it without a checkpoint. Its backends end by themselves."""
        if not at_once:
            self._server.signal(signal.SIGQUIT)
        self._server.kill()

    def cut_connections(self) -> int:
        """Terminate every other connection on the server's side. Returns how many there were."""
        query = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        with self._psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            return len(connection.execute(query + b" AND datname <> 'postgres'").fetchall())

    def restart(self) -> None:
        """kill -9 the server, and start it with the same data and port."""
        self.kill()
        self.start()

    def new_database(self, encoding: str = "UTF8") -> str:
        """Create an empty database and return its SQLAlchemy URL."""
        name = f"state_{next(self._numbers)}"
        with self._psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            made = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}'"
            connection.execute(made.encode())
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def _initdb(self) -> None:
        if os.getuid() == 0:
            shutil.chown(self.folder, _unprivileged_user())
        program = str(self._programs / "initdb")
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        self._run([program, "-D", str(self._data), *options])

    def _run(self, command: Iterable[str]) -> None:
        done = subprocess.run(
            [*unprivileged(), *command], capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode != 0:
            raise Unavailable(f"{done.args} failed: {done.stdout}{done.stderr}")

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database} connect_timeout=5"

    def _answers(self) -> bool:
        try:
            with self._psycopg.connect(self._dsn("postgres")):
                return True
        except self._psycopg.OperationalError:
            return False

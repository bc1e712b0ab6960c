"""A private PgBouncer in transaction mode before a private PostgreSQL, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Self

from multi_agent.chaos.services.postgres import free_port, unprivileged
from multi_agent.embedded.child import ChildProcess
from tests.support import need
from tests.support.postgres import PrivatePostgres

START_SECONDS = 20.0
PROGRAM = "/usr/sbin/pgbouncer"


class PrivatePooler:
    """Gives each transaction one of two connections to the server, whichever is free."""

    def __init__(self, server: PrivatePostgres, *, ignored: str = "") -> None:
        """`ignored`: start-up options that it drops instead of refusing them."""
        need(Path(PROGRAM).exists(), "PgBouncer is not installed (Debian: apt install pgbouncer)")
        self.folder = Path(tempfile.mkdtemp(prefix="pooler-", dir="/tmp"))
        self.port = free_port()
        settings = self.folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = transaction\ndefault_pool_size = 2\nignore_startup_parameters = {ignored}\n"
        )
        self.folder.chmod(0o755)
        self._process = ChildProcess(
            [*unprivileged(), PROGRAM, str(settings)],
            log=self.folder / "pgbouncer.log",
            env={"PATH": os.defpath},
        )

    def start(self) -> Self:
        """Start it and wait until it listens."""
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if not self._process.alive or time.monotonic() > deadline:
                raise RuntimeError(f"no PgBouncer: {(self.folder / 'pgbouncer.log').read_text()}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End it and remove its folder."""
        self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, direct: str) -> str:
        """The URL by which a database is reached through it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{direct.rpartition('/')[2]}"

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

"""Private Redis servers of every kind, for tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from multi_agent.embedded.child import ChildProcess
from multi_agent.embedded.redis_kinds import RedisKind, RedisProgram, find_redis
from multi_agent.embedded.redis_server import redis_url
from tests.support import need

START_SECONDS = 30.0


def redis_program(kind: RedisKind | str) -> RedisProgram:
    """The program; skips (fails in CI) when it is not here."""
    program = find_redis(RedisKind(kind), os.environ["PATH"])
    need(program is not None, f"{kind} is not installed")
    assert program is not None
    return program


class PrivateRedis:
    """A server on a unix socket in a folder of its own; the same socket, and no memory, after each start.

    options: more words for its command line, such as ("--requirepass", "secret"); password: the one they set.
    """

    def __init__(
        self, kind: RedisKind | str = RedisKind.REDIS, *, options: Sequence[str] = (), password: str = ""
    ) -> None:
        self._program = redis_program(kind)
        self.folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))
        self.socket = self.folder / "redis.sock"
        self.log = self.folder / "redis.log"
        self._password = password
        argv = [*self._program.argv(self.socket), *options]
        self._process = ChildProcess(argv, log=self.log, env={"PATH": os.environ["PATH"]})

    @property
    def kind(self) -> RedisKind:
        return self._program.kind

    @property
    def url(self) -> str:
        url = redis_url(self.socket)
        return url.replace("unix://", f"unix://:{self._password}@") if self._password else url

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> PrivateRedis:
        """Start the server and wait until it answers."""
        self.socket.unlink(missing_ok=True)
        self._process.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self._process.alive or time.monotonic() > deadline:
                raise RuntimeError(f"{self.kind} did not start: {self.log.read_text()}")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """End the server for good and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """kill -9; `start` brings it back on the same URL, without its memory."""
        self._process.kill()

    def restart(self) -> None:
        """kill -9 and start."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._process.signal(signal.SIGCONT)

    def flush(self) -> None:
        """FLUSHALL."""
        self.command("FLUSHALL")

    def command(self, *words: str | bytes | int) -> Any:
        """The reply to one raw command, over a connection of its own."""
        with redis.Redis(
            unix_socket_path=str(self.socket), protocol=2, password=self._password or None, socket_timeout=10
        ) as client:
            return client.execute_command(*words)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self.socket))
                client.sendall(b"*1\r\n$4\r\nPING\r\n")
                return client.recv(10)[:1] in {b"+", b"-"}
            except OSError:
                return False

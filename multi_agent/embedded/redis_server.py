"""Starts a private Redis for one run of this program."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from contracts.base.errors import BusUnavailable, Unavailable
from multi_agent.embedded.child import ChildProcess
from multi_agent.embedded.redis_kinds import NOTES, RedisKind, RedisProgram, find_redis
from multi_agent.embedded.runtime_dir import make_runtime_dir

_SOCKET_NAME: Final = "redis.sock"
_START_SECONDS: Final = 20.0
_PING: Final = b"*1\r\n$4\r\nPING\r\n"


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """A running private server."""

    url: str
    kind: RedisKind
    note: str
    """A description for users, with a warning when the server is only an imitation."""
    process: ChildProcess
    folder: Path
    """The folder of the socket."""

    async def stop(self) -> None:
        """End the server, which has nothing to save, and remove its folder. A second call does nothing."""
        self.process.kill()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)


async def start_redis(
    data_dir: Path, *, search_path: str, runtime_dir: Path | None = None, kind: RedisKind | None = None
) -> EmbeddedRedis:
    """Start the best server that works here, or exactly `kind`, and return when it answers.

    The server serves this user only, on a unix socket. It stores nothing on disk, and it is killed when this
    process ends, even when this process is killed. Raises BusUnavailable, which lists what was tried.

    data_dir: the folder for the log, `redis.log`.
    search_path: folders with programs, like PATH.
    runtime_dir: the preferred folder for the socket, such as XDG_RUNTIME_DIR.
    """
    tried: list[str] = []
    for wanted in [kind] if kind else list(RedisKind):
        program = await asyncio.to_thread(find_redis, wanted, search_path)
        if program is None:
            tried.append(f"{wanted}: not found")
            continue
        try:
            return await _start(program, data_dir, runtime_dir, search_path)
        except (Unavailable, OSError) as error:
            tried.append(f"{wanted}: {error}")
    raise BusUnavailable(
        "no private Redis could be started; install redis-server or set the URL of one\n  "
        + "\n  ".join(tried)
    )


async def _start(
    program: RedisProgram, data_dir: Path, runtime_dir: Path | None, search_path: str
) -> EmbeddedRedis:
    candidates: Sequence[Path] = [runtime_dir, data_dir] if runtime_dir else [data_dir]
    folder = await asyncio.to_thread(make_runtime_dir, candidates, _SOCKET_NAME)
    socket = folder / _SOCKET_NAME
    env = {"PATH": search_path, "LC_ALL": "C.UTF-8"}
    process = ChildProcess(program.argv(socket), log=data_dir / "redis.log", env=env)
    redis = EmbeddedRedis(redis_url(socket), program.kind, NOTES[program.kind], process, folder)
    try:
        process.start()
        await process.wait_ready(lambda: answers(socket), _START_SECONDS)
    except BaseException:
        await redis.stop()
        raise
    return redis


def redis_url(socket: Path) -> str:
    """Return the URL of a server on a unix socket."""
    return f"unix://{quote(str(socket.absolute()))}?db=0"


async def answers(socket: Path) -> bool:
    """Whether a Redis server answers a PING on the socket."""
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(_PING)
                return (await reader.readline()).startswith(b"+PONG")
            finally:
                writer.close()
                await writer.wait_closed()
    except OSError:
        return False

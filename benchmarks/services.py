"""What every measured system gets: a private Redis, and processes that end with this one."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from multi_agent.embedded.child import ChildProcess
from multi_agent.embedded.redis_kinds import RedisKind, find_redis
from multi_agent.embedded.redis_server import answers, redis_url
from multi_agent.embedded.runtime_dir import make_runtime_dir

ROOT: Final = Path(__file__).resolve().parents[1]
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Redis:
    """A private server with the same settings as the one of `multi-agent`. It keeps nothing on disk."""

    url: str
    """The URL of its unix socket."""

    socket: Path

    port: int
    """Its TCP port on loopback."""

    @property
    def tcp_url(self) -> str:
        """The URL over loopback, for clients that do not support unix sockets."""
        return f"redis://127.0.0.1:{self.port}/0"


@dataclass(slots=True)
class Processes:
    """Processes that end with this one. Each writes its log to `folder`."""

    folder: Path
    children: list[ChildProcess] = field(default_factory=list)

    def start(self, name: str, argv: Sequence[str], env: dict[str, str] | None = None) -> ChildProcess:
        """Start a process. `python` as the first word means the Python of this process."""
        words = [sys.executable if argv[0] == "python" else argv[0], *argv[1:]]
        child = ChildProcess(words, log=self.folder / f"{name}.log", env=os.environ | (env or {}))
        child.start()
        self.children.append(child)
        return child

    async def stop(self) -> None:
        """End all processes, the last started first."""
        for child in self.children:
            child.signal(15)
        for child in reversed(self.children):
            await child.stop()
        self.children.clear()

    def log_end(self) -> str:
        """Return the end of each log."""
        ends = [path.read_text("utf-8", "replace")[-800:] for path in sorted(self.folder.glob("*.log"))]
        return "\n".join(filter(None, ends))


def free_port() -> int:
    """Return a free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def private_redis(folder: Path) -> AsyncIterator[Redis]:
    """Run the best Redis server of this machine during the `with` block."""
    path = os.environ.get("PATH", os.defpath)
    program = next((one for kind in RedisKind if (one := find_redis(kind, path))), None)
    if program is None or program.kind is RedisKind.FAKEREDIS:
        raise RuntimeError("a real Redis server is needed: install redis-server")
    home = make_runtime_dir([folder], "redis.sock")
    place, port = home / "redis.sock", free_port()
    argv = [*program.argv(place), "--port", str(port), "--bind", "127.0.0.1"]
    server = ChildProcess(argv, log=folder / "redis.log", env={"PATH": path, "LC_ALL": "C.UTF-8"})
    server.start()
    try:
        await server.wait_ready(lambda: answers(place), START_SECONDS)
        yield Redis(redis_url(place), place, port)
    finally:
        await server.stop()
        place.unlink(missing_ok=True)


async def wait_until(
    reached: Callable[[], Awaitable[bool]], what: str, seconds: float = START_SECONDS, poll: float = 0.005
) -> None:
    """Return when `reached` returns True. Raises TimeoutError with `what` after `seconds`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await reached():
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(poll)


def memory_of(pid: int) -> float:
    """Return the resident memory of a process in MB. Shared memory counts in full."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0

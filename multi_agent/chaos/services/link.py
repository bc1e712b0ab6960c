"""A proxy between processes and a service that can cut, silence or slow down connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit, urlunsplit

from multi_agent.chaos.services.postgres import PrivatePostgres
from multi_agent.chaos.services.redis import ChaosRedis
from multi_agent.embedded.redis_server import redis_url
from multi_agent.settings import Settings

_CHUNK: Final = 65_536
_SPLIT_BYTES: Final = 200
"""How many bytes of a chunk are sent one by one; the rest follows at once, so that every transfer ends."""

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection through the proxy."""

    near: asyncio.StreamWriter
    """To the process."""
    far: asyncio.StreamWriter
    """To the service."""
    silent: bool = False
    """Whether all data is dropped."""
    drops_answer: bool = False
    """Whether the connection is closed instead of passing on the next answer."""

    def abort(self) -> None:
        """Close both ends at once, without sending buffered data."""
        self.near.transport.abort()
        self.far.transport.abort()


class FaultProxy:
    """Forwards each connection to the service that `dial` connects to, with faults on request."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._connections: set[_Connection] = set()
        self._jobs: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._delay = 0.0
        self._splits = False

    async def listen_on_path(self, path: Path) -> Self:
        """Accept connections on a unix socket."""
        self._server = await asyncio.start_unix_server(self._forward, path)
        return self

    async def listen_on_port(self) -> Self:
        """Accept connections on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        return self

    @property
    def port(self) -> int:
        """The port of the proxy."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def _forward(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_in, far = await self._dial()
        except OSError:
            near.transport.abort()
            return
        connection = _Connection(near, far)
        self._connections.add(connection)
        pumps = [
            asyncio.create_task(self._pump(connection, near_in, far, answers=False)),
            asyncio.create_task(self._pump(connection, far_in, near, answers=True)),
        ]
        self._jobs.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._jobs.difference_update(pumps)
            self._connections.discard(connection)
            connection.abort()

    async def _pump(
        self,
        connection: _Connection,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        *,
        answers: bool,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if connection.silent:
                    continue
                if answers and connection.drops_answer:
                    return
                if self._splits:
                    for number in range(min(len(data), _SPLIT_BYTES)):
                        target.write(data[number : number + 1])
                        await target.drain()
                        await asyncio.sleep(0)
                    data = data[_SPLIT_BYTES:]
                target.write(data)
                await target.drain()

    # --- faults --------------------------------------------------------------------------------------

    def cut(self) -> int:
        """Abort every connection. Returns how many there were."""
        return self._each(_Connection.abort)

    def lose_answers(self) -> int:
        """Close every open connection when its next answer arrives. Returns how many there are."""

        def drop_answer(connection: _Connection) -> None:
            connection.drops_answer = True

        return self._each(drop_answer)

    def fall_silent(self) -> int:
        """Keep every open connection open but drop all its data. Returns how many there are."""

        def silence(connection: _Connection) -> None:
            connection.silent = True

        return self._each(silence)

    def _each(self, change: Callable[[_Connection], None]) -> int:
        connections = list(self._connections)
        for connection in connections:
            change(connection)
        return len(connections)

    def slow_down(self, chance: random.Random) -> None:
        """Delay every chunk by 50 ms to 2 s, or split chunks into single bytes."""
        self._splits = chance.random() < 0.5
        self._delay = 0.0 if self._splits else chance.uniform(0.05, 2.0)

    def clear(self) -> None:
        """End `slow_down`. Silent connections stay silent: their users must detect that themselves."""
        self._delay, self._splits = 0.0, False

    async def close(self) -> None:
        """Close the proxy and all connections."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for job in list(self._jobs):
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)


@dataclass(slots=True)
class FaultProxies:
    """The proxies of a world's private services. A deployment's own services have none."""

    redis: FaultProxy | None
    postgres: FaultProxy | None
    _redis_url: str = ""

    @classmethod
    async def open(cls, redis: ChaosRedis | None, postgres: PrivatePostgres | None) -> FaultProxies:
        """Start a proxy for each service."""
        to_redis = await FaultProxy(redis.dial).listen_on_path(redis.link_path) if redis else None
        to_postgres = await FaultProxy(postgres.dial).listen_on_port() if postgres else None
        return cls(to_redis, to_postgres, redis_url(redis.link_path) if redis else "")

    @property
    def all(self) -> list[FaultProxy]:
        """The existing proxies."""
        return [link for link in (self.redis, self.postgres) if link is not None]

    def env(self, settings: Settings) -> dict[str, str]:
        """Return the variables that make processes connect to the proxies."""
        shown = {}
        if self.redis is not None:
            shown["REDIS_URL"] = self._redis_url
        if self.postgres is not None and settings.database_url is not None:
            url = urlsplit(settings.database_url.get_secret_value())
            user, _, place = url.netloc.rpartition("@")
            netloc = f"{user}@{place.partition(':')[0]}:{self.postgres.port}"
            shown["DATABASE_URL"] = urlunsplit(url._replace(netloc=netloc))
        return shown

    def clear(self) -> None:
        """End `slow_down` on all proxies."""
        for link in self.all:
            link.clear()

    async def close(self) -> None:
        """Close all proxies."""
        for link in self.all:
            await link.close()

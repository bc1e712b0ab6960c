"""A wire between the processes and a service, that can be cut, fall silent, or be slow."""

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
_TORN: Final = 200
"""So many bytes of a chunk go one by one on a slow wire; the rest follows at once, or nothing would end."""

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@dataclass(eq=False, slots=True)
class _Call:
    """A connection: the process's end and the service's."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    silent: bool = False
    deaf: bool = False

    def hang_up(self) -> None:
        """At once, with whatever was under way."""
        self.near.transport.abort()
        self.far.transport.abort()


class FaultProxy:
    """Forwards each connection to the service that `dial` reaches, until something is done to it."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._calls: set[_Call] = set()
        self._jobs: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._delay = 0.0
        self._tears = False

    async def listen_on_path(self, path: Path) -> Self:
        """Take connections on a unix socket."""
        self._server = await asyncio.start_unix_server(self._take, path)
        return self

    async def listen_on_port(self) -> Self:
        """Take connections on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return self

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def _take(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_in, far = await self._dial()
        except OSError:
            near.transport.abort()
            return
        call = _Call(near, far)
        self._calls.add(call)
        pumps = [
            asyncio.create_task(self._pump(call, near_in, far, answers=False)),
            asyncio.create_task(self._pump(call, far_in, near, answers=True)),
        ]
        self._jobs.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._jobs.difference_update(pumps)
            self._calls.discard(call)
            call.hang_up()

    async def _pump(
        self, call: _Call, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if call.silent:
                    continue
                if answers and call.deaf:
                    return
                if self._tears:
                    for number in range(min(len(data), _TORN)):
                        target.write(data[number : number + 1])
                        await target.drain()
                        await asyncio.sleep(0)
                    data = data[_TORN:]
                target.write(data)
                await target.drain()

    # --- what can be done to it ----------------------------------------------------------------------

    def cut(self) -> int:
        """End every connection; how many."""
        return self._each(_Call.hang_up)

    def lose_answers(self) -> int:
        """Let every open connection end instead of bringing its next answer; how many."""

        def deafen(call: _Call) -> None:
            call.deaf = True

        return self._each(deafen)

    def fall_silent(self) -> int:
        """Every open connection stays open and carries nothing any more; how many."""

        def silence(call: _Call) -> None:
            call.silent = True

        return self._each(silence)

    def _each(self, change: Callable[[_Call], None]) -> int:
        calls = list(self._calls)
        for call in calls:
            change(call)
        return len(calls)

    def slow_down(self, chance: random.Random) -> None:
        """Every chunk takes 50 ms to 2 s, or comes byte by byte."""
        self._tears = chance.random() < 0.5
        self._delay = 0.0 if self._tears else chance.uniform(0.05, 2.0)

    def clear(self) -> None:
        """As fast as ever. Connections that fell silent stay so: to notice is up to those who use them."""
        self._delay, self._tears = 0.0, False

    async def close(self) -> None:
        """End it."""
        self.cut()
        if self._server is not None:
            self._server.close()
        for job in list(self._jobs):
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)


@dataclass(slots=True)
class FaultProxies:
    """The wires of a world: those of its private services, none for a deployment's own."""

    redis: FaultProxy | None
    postgres: FaultProxy | None
    _redis_url: str = ""

    @classmethod
    async def open(cls, redis: ChaosRedis | None, postgres: PrivatePostgres | None) -> FaultProxies:
        """Lay them."""
        to_redis = await FaultProxy(redis.dial).listen_on_path(redis.link_path) if redis else None
        to_postgres = await FaultProxy(postgres.dial).listen_on_port() if postgres else None
        return cls(to_redis, to_postgres, redis_url(redis.link_path) if redis else "")

    @property
    def all(self) -> list[FaultProxy]:
        """Every one there is."""
        return [link for link in (self.redis, self.postgres) if link is not None]

    def env(self, settings: Settings) -> dict[str, str]:
        """The addresses at this end of the wires, for processes."""
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
        """All as fast as ever."""
        for link in self.all:
            link.clear()

    async def close(self) -> None:
        """End all."""
        for link in self.all:
            await link.close()

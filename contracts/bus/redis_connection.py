"""Connections to a Redis server, and a pool of them.

Of redis-py only the connections are used. Its client retries by itself, so that a message could be stored
twice; after a cancelled command it may reuse a connection whose reply is still on its way, so that a command
could get the reply to another. Packing commands takes it six times as long as hiredis.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from contracts.base.errors import BusUnavailable, NotConfigured, NotPermitted
from contracts.base.processes.shortage import shortage_as
from contracts.bus.redis_protocol import Command, Place, packed

_IDLE_CONNECTIONS: Final = 8
_OPTIONS: Final = frozenset({"host", "port", "path", "db", "username", "password", "connection_class"})
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
_TLS_OPTIONS: Final = frozenset(
    {*_TLS_FILES, "ssl_ca_data", "ssl_cert_reqs", "ssl_check_hostname", "ssl_ciphers", "ssl_password"}
)
_CERTIFICATE_CHECKS: Final = ("required", "optional", "none")
_URL_FORMS: Final = "redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/socket?db=0"


def _bad_url(reason: str) -> NotConfigured:
    # The URL itself may hold a password, so no message shows it.
    return NotConfigured(f"the Redis URL {reason}; it must look like {_URL_FORMS}")


def connection_options(url: str) -> dict[str, Any]:
    """Parse the URL into arguments of a connection. Raises NotConfigured."""
    try:
        options: dict[str, Any] = dict(parse_url(url))
        path = urlsplit(url).path.strip("/")
    except ValueError:
        raise _bad_url("cannot be read") from None
    if "path" not in options and path and not path.isdigit():
        raise _bad_url("names a database that is no number")
    unknown = sorted(options.keys() - _OPTIONS - _TLS_OPTIONS)
    if unknown:
        raise _bad_url(
            f"has unknown options ({', '.join(unknown)}; known are db, {', '.join(sorted(_TLS_OPTIONS))})"
        )
    absent = [name for name in _TLS_FILES if name in options and not os.path.exists(options[name])]
    if absent:
        raise _bad_url(f"names in {absent[0]} a file that does not exist, {options[absent[0]]!r}")
    if "ssl_cert_reqs" in options:
        options["ssl_cert_reqs"] = _certificate_check(str(options["ssl_cert_reqs"]))
    return options


def _certificate_check(given: str) -> str:
    """The word for it, also where it is given as Python's ssl module has it. Raises NotConfigured."""
    word = given.lower().removeprefix("cert_")
    if word not in _CERTIFICATE_CHECKS:
        raise _bad_url(f"has an ssl_cert_reqs that is none of {', '.join(_CERTIFICATE_CHECKS)}")
    return word


class RedisConnection:
    """One connection. Foreign errors become BusUnavailable; a broken exchange closes the connection."""

    def __init__(self, connection: AbstractConnection, place: Place, timeout: float) -> None:
        self._connection = connection
        self._place = place
        self._timeout = timeout

    async def exchange(self, commands: Sequence[Command], wait: float) -> list[Any]:
        """Send commands; the replies, ResponseErrors among them, within the timeout plus `wait` seconds."""
        in_order = False
        try:
            async with asyncio.timeout(self._timeout + wait):
                await self._drop_if_stale()
                await self._send(commands)
                replies = [await self._reply() for _ in commands]
            in_order = True
            return replies
        except (RedisError, OSError) as error:
            raise self._place.unavailable(error) from None
        finally:
            if not in_order:
                await self.drop()

    async def send(self, commands: Sequence[Command]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._send(commands)
        except (RedisError, OSError) as error:
            raise self._place.unavailable(error) from None

    async def receive(self, seconds: float) -> Any:
        try:
            return await self._connection.read_response(timeout=seconds, disconnect_on_error=False)
        except NoPermissionError as error:
            raise NotPermitted(str(self._place.unavailable(error))) from None
        except (RedisError, OSError) as error:
            raise self._place.unavailable(error) from None

    async def drop(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _send(self, commands: Sequence[Command]) -> None:
        connection = self._connection
        if not connection.is_connected:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py 8 leaves it untyped
        await connection.send_packed_command(packed(commands), check_health=False)

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error

    async def _drop_if_stale(self) -> None:
        """Drop a connection that the server closed while idle, or that holds unexpected bytes."""
        if not self._connection.is_connected:
            return
        # redis-py 8 renamed the method and warns about the old name.
        probe = getattr(self._connection, "can_read", None) or self._connection.can_read_destructive
        try:
            stale = await probe()
        except (RedisError, OSError):
            stale = True
        if stale:
            await self.drop()


class ConnectionPool:
    """Connections to one server, each lent to one exchange at a time."""

    def __init__(self, url: str, timeout: float) -> None:
        self._options = connection_options(url)
        self._type: type[AbstractConnection] = self._options.pop("connection_class", Connection)
        # RedisConnection enforces the time limits: redis-py has only one for all commands.
        self._options |= {
            "socket_timeout": None,
            "socket_connect_timeout": timeout,
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
            "protocol": 2,
        }
        host = f"{self._options.get('host', 'localhost')}:{self._options.get('port', 6379)}"
        name = str(self._options.get("path", host))
        self.place = Place(name, str(self._options.get("password") or ""))
        self.timeout = timeout
        self._idle: list[RedisConnection] = []
        self._all: set[RedisConnection] = set()
        self._closed = False
        self.new_connection()

    def new_connection(self) -> RedisConnection:
        """Make one that is not connected yet. Raises BusUnavailable for want of resources."""
        try:
            # It may read files of its package.
            with shortage_as(BusUnavailable):
                raw = self._type(**self._options)
        except TypeError:
            raise _bad_url("has an unknown ssl_ option") from None
        except RedisError as error:
            raise _bad_url(f"has an ssl_ option that cannot be used ({error})") from None
        return RedisConnection(raw, self.place, self.timeout)

    async def run(self, commands: Sequence[Command], wait: float = 0.0) -> list[Any]:
        """Run commands as `try_run` does. Raises the first error among the replies, once all were read."""
        replies = await self.try_run(commands, wait)
        self.check(replies)
        return replies

    def check(self, replies: Sequence[Any]) -> None:
        """Raise the first error among them."""
        for reply in replies:
            if isinstance(reply, NoPermissionError):
                raise NotPermitted(str(self.place.unavailable(reply))) from None
            if isinstance(reply, ResponseError):
                raise self.place.failure(reply) from None

    async def try_run(self, commands: Sequence[Command], wait: float = 0.0) -> list[Any]:
        """Send commands in one go and return the replies, ResponseErrors among them; [] for no commands.

        wait: seconds that the server may take beyond the timeout, for a blocking command.
        """
        if not commands:
            return []
        if self._closed:
            raise BusUnavailable(f"the connection to Redis at {self.place.name} was closed by this program")
        connection = self._idle.pop() if self._idle else self.new_connection()
        self._all.add(connection)
        try:
            return await connection.exchange(commands, wait)
        finally:
            if len(self._idle) < _IDLE_CONNECTIONS and not self._closed:
                self._idle.append(connection)
            else:
                self._all.discard(connection)
                await connection.drop()

    async def close(self) -> None:
        """Close every connection; commands under way fail."""
        self._closed = True
        for connection in tuple(self._all):
            await connection.drop()

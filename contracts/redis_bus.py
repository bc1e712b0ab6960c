"""The message bus on Redis or Valkey (6.2 or newer, one primary; not a Redis Cluster).

redis-py is used for its connections only, and not to pack commands, for which it takes six times as long as
hiredis. Its client retries by itself, and after a cancelled command it may
hand out a connection whose reply is still under way: a message would be stored twice, or a question answered
with the reply to another.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from contracts.bus_parts import check_channels, check_read
from contracts.errors import BusUnavailable, GroupMissing, NotConfigured
from contracts.ports import Delivery, Done, Outgoing
from contracts.redis_protocol import (
    PAGE,
    Command,
    Place,
    are_watched,
    check_eviction,
    deliveries,
    done_commands,
    eviction_policy,
    info_field,
    last_delivered,
    mirror_commands,
    packed,
    read_command,
    store_commands,
    watcher_commands,
)
from contracts.redis_subscription import RedisSubscription

_INCARNATION_KEY: Final = "multi-agent:incarnation"
_IDLE_LINKS: Final = 8
_EARLY_SECONDS: Final = 0.01
_OPTIONS: Final = frozenset({"host", "port", "path", "db", "username", "password", "connection_class"})
_URL_FORMS: Final = "redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/socket?db=0"


def _bad_url(reason: str) -> NotConfigured:
    # The URL itself may hold a password, so no message shows it.
    return NotConfigured(f"the Redis URL {reason}; it must look like {_URL_FORMS}")


def _connection_options(url: str) -> dict[str, Any]:
    """What the URL says, as arguments of a connection."""
    try:
        options: dict[str, Any] = dict(parse_url(url))
        path = urlsplit(url).path.strip("/")
    except ValueError:
        raise _bad_url("cannot be read") from None
    if "path" not in options and path and not path.isdigit():
        raise _bad_url("names a database that is no number")
    unknown = sorted(name for name in options if name not in _OPTIONS and not name.startswith("ssl_"))
    if unknown:
        raise _bad_url(f"has unknown options ({', '.join(unknown)}; known are db and ssl_*)")
    return options


class _Link:
    """One connection. Foreign errors end here, and so does a connection whose exchange was broken off."""

    def __init__(self, connection: AbstractConnection, place: Place, timeout: float) -> None:
        self._connection = connection
        self._place = place
        self._timeout = timeout

    async def exchange(self, commands: Sequence[Command], wait: float) -> list[Any]:
        """The replies, ResponseErrors among them, within the time limit plus `wait` seconds."""
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
        """Drop a connection closed by the server while idle, or one that holds bytes nobody asked for."""
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


class _Wire:
    """Links to one server, handed out one by one and taken back."""

    def __init__(self, url: str, timeout: float) -> None:
        self._options = _connection_options(url)
        self._type: type[AbstractConnection] = self._options.pop("connection_class", Connection)
        # The time limits are kept by _Link, for redis-py has one for blocking and other commands alike.
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
        self._idle: list[_Link] = []
        self._all: set[_Link] = set()
        self._closed = False
        self.new_link()

    def new_link(self) -> _Link:
        """A link that is not connected yet."""
        try:
            connection = self._type(**self._options)
        except TypeError:
            raise _bad_url("has an unknown ssl_ option") from None
        return _Link(connection, self.place, self.timeout)

    async def run(self, commands: Sequence[Command], wait: float = 0.0) -> list[Any]:
        """The replies as `try_run` gives them. Raises the first error among them, once all were read."""
        replies = await self.try_run(commands, wait)
        self.check(replies)
        return replies

    def check(self, replies: Sequence[Any]) -> None:
        """Raise the first error among them."""
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise self.place.failure(reply) from None

    async def try_run(self, commands: Sequence[Command], wait: float = 0.0) -> list[Any]:
        """The replies to the commands, sent in one go, ResponseErrors among them; [] for no commands.

        wait: seconds that the server may take on top of the time limit, for a blocking command.
        """
        if not commands:
            return []
        if self._closed:
            raise BusUnavailable(f"the connection to Redis at {self.place.name} was closed by this program")
        link = self._idle.pop() if self._idle else self.new_link()
        self._all.add(link)
        try:
            return await link.exchange(commands, wait)
        finally:
            if len(self._idle) < _IDLE_LINKS and not self._closed:
                self._idle.append(link)
            else:
                self._all.discard(link)
                await link.drop()

    async def close(self) -> None:
        """Close every connection; commands under way fail."""
        self._closed = True
        for link in tuple(self._all):
            await link.drop()


class RedisBus:
    """MessageBus on a Redis server.

    url: redis://, rediss:// or unix://; raises NotConfigured for any other, and never shows it in an error.
    timeout: seconds that the server may take to connect and to answer.
    A cancelled call closes its connection. A cancelled `read` may have been served: what it took is pending.
    Channels are those of the server: two databases of one server hear each other.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self._wire = _Wire(url, timeout)
        self._subscriptions: set[RedisSubscription] = set()

    async def check_policy(self) -> None:
        """Raises NotConfigured when the server would drop streams to free memory. Unknown counts as good."""
        config, info = await self._wire.try_run([("CONFIG", "GET", "maxmemory-policy"), ("INFO", "memory")])
        check_eviction(self._wire.place, eviction_policy(config, info))

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        commands = [*done_commands(done), *store_commands(messages)] if done else store_commands(messages)
        await self._store([*commands, *mirror_commands(hints)], messages)

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        commands = store_commands(messages) + done_commands(done)
        if commands:
            await self._store([("MULTI",), *commands, ("EXEC",)], messages)

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        await self._wire.run(mirror_commands(messages))

    async def _store(self, commands: Sequence[Command], messages: Sequence[Outgoing]) -> None:
        """Execute these, which store the messages, and mirror them if anybody watches: mostly nobody does."""
        replies = await self._wire.try_run([*commands, *watcher_commands(messages)])
        stored, watchers = replies[: len(commands)], replies[len(commands) :]
        self._wire.check(stored)
        # What failed within a transaction is said in the reply to its end.
        self._wire.check([result for reply in stored if isinstance(reply, list) for result in reply])
        if are_watched(watchers):
            # Nobody is hurt when they are lost, but whoever published must not do it again for that.
            with suppress(BusUnavailable):
                await self._wire.run(mirror_commands(messages))

    async def ensure_group(self, stream: str, group: str) -> None:
        [reply] = await self._wire.try_run([("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")])
        if isinstance(reply, ResponseError) and not str(reply).startswith("BUSYGROUP"):
            raise self._wire.place.failure(reply) from None

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        check_read(count, block_ms)
        clock = asyncio.get_running_loop().time
        rest = block_ms / 1000
        deadline = clock() + rest
        while True:
            found = await self._read_once(streams, group, consumer, count, round(rest * 1000))
            rest = deadline - clock()
            if found or rest < _EARLY_SECONDS:
                return found
            # Some servers (fakeredis) answer a blocking read at once; without a pause that is a busy loop.
            await asyncio.sleep(_EARLY_SECONDS if streams else rest)

    async def ack(self, group: str, deliveries: Sequence[Delivery]) -> None:
        await self._wire.run(done_commands(Done(group, deliveries)))

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        found: list[Delivery] = []
        after = b"0"
        with suppress(GroupMissing):
            while entries := await self._history(stream, group, consumer, after):
                found += deliveries(stream, entries)
                gone = [entry_id for entry_id, fields in entries if fields is None]
                await self._wire.run([("XACK", stream, group, *gone)] if gone else [])
                after = entries[-1][0]
            return found
        return []

    async def consumers(self, stream: str, group: str) -> list[str]:
        [reply] = await self._wire.try_run([("XPENDING", stream, group)])
        if isinstance(reply, ResponseError):
            failure = self._wire.place.failure(reply)
            if isinstance(failure, GroupMissing):
                return []
            raise failure from None
        return sorted(name.decode() for name, _ in reply[3] or [])

    async def forget_consumer(self, stream: str, group: str, consumer: str) -> None:
        # DELCONSUMER drops what is pending, and the entries would stay in the stream for ever, in no hands.
        listing = ("XPENDING", stream, group, "-", "+", 1, consumer)
        with suppress(GroupMissing):
            if not (await self._wire.run([listing]))[0]:
                await self._wire.run([("XGROUP", "DELCONSUMER", stream, group, consumer)])

    async def entries(self, stream: str) -> list[Delivery]:
        return await self._range(stream, b"+")

    async def adrift(self, stream: str, group: str) -> list[Delivery]:
        with suppress(GroupMissing):
            [groups] = await self._wire.run([("XINFO", "GROUPS", stream)])
            # Asked for first: whatever is read from now on is not older than it.
            last = last_delivered(groups, group)
            held = await self._held(stream, group) if last is not None else set()
            found = await self._range(stream, last) if last is not None else []
            return [each for each in found if each.entry_id not in held]
        return []

    async def depth(self, stream: str) -> int:
        return int((await self._wire.run([("XLEN", stream)]))[0])

    async def incarnation(self) -> str:
        mark = secrets.token_hex(16)
        [info] = await self._wire.try_run([("INFO", "server")])
        _, value = await self._wire.run([("SET", _INCARNATION_KEY, mark, "NX"), ("GET", _INCARNATION_KEY)])
        # INFO may be forbidden or unknown; the key alone still shows a flush and a server without memory.
        return f"{info_field(info, 'run_id')}:{(value or b'').decode()}"

    def subscribe(self, channels: Sequence[str]) -> RedisSubscription:
        """As the port says; `ready()` of what is returned waits for the server's confirmation."""
        check_channels(channels)
        subscription = RedisSubscription(self._wire.new_link, channels, self._wire.timeout)
        self._subscriptions.add(subscription)
        return subscription

    async def close(self) -> None:
        for subscription in list(self._subscriptions):
            await subscription.close()
        self._subscriptions.clear()
        await self._wire.close()

    async def _read_once(
        self, streams: Sequence[str], group: str, consumer: str, count: int, block_ms: int
    ) -> list[Delivery]:
        if not streams:
            return []
        command = read_command(tuple(streams), group, consumer, count, block_ms)
        [reply] = await self._wire.run([command], block_ms / 1000)
        return [found for name, entries in reply or [] for found in deliveries(name.decode(), entries)]

    async def _range(self, stream: str, last: bytes) -> list[Delivery]:
        found: list[Delivery] = []
        after = b"-"
        while page := (await self._wire.run([("XRANGE", stream, after, last, "COUNT", PAGE)]))[0]:
            found += deliveries(stream, page)
            after = b"(" + page[-1][0]
        return found

    async def _held(self, stream: str, group: str) -> set[str]:
        """The ids of all pending entries, whoever has them."""
        found: set[str] = set()
        after = b"-"
        while page := (await self._wire.run([("XPENDING", stream, group, after, "+", PAGE)]))[0]:
            found.update(entry[0].decode() for entry in page)
            after = b"(" + page[-1][0]
        return found

    async def _history(self, stream: str, group: str, consumer: str, after: bytes) -> list[Any]:
        command = ("XREADGROUP", "GROUP", group, consumer, "COUNT", PAGE, "STREAMS", stream, after)
        [reply] = await self._wire.run([command])
        return reply[0][1] if reply else []

"""The message bus on Redis or Valkey (6.2 or newer, one primary; not a Redis Cluster)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import ResponseError

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.bus.access import INCARNATION_KEY
from contracts.bus.mailbox import check_channels, check_read
from contracts.bus.redis_connection import ConnectionPool
from contracts.bus.redis_protocol import (
    PAGE,
    Command,
    are_watched,
    check_eviction,
    deliveries,
    done_commands,
    eviction_policy,
    info_field,
    last_delivered,
    mirror_commands,
    read_command,
    store_commands,
    watcher_commands,
)
from contracts.bus.redis_subscription import RedisSubscription
from contracts.ports.bus import Delivery, Done, Outgoing

_EARLY_SECONDS: Final = 0.01


class RedisBus:
    """MessageBus on a Redis server.

    A cancelled call closes its connection. A cancelled `read` may have been served: what it read is pending.
    Channels belong to the server, so two databases of one server share them.

    url: redis://, rediss:// or unix://; raises NotConfigured for any other, and no error shows it.
    timeout: seconds that the server may take to connect and to answer.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self._pool = ConnectionPool(url, timeout)
        self._subscriptions: set[RedisSubscription] = set()

    async def check_policy(self) -> None:
        """Raise NotConfigured when the server would evict streams to free memory. Unknown counts as good."""
        config, info = await self._pool.try_run([("CONFIG", "GET", "maxmemory-policy"), ("INFO", "memory")])
        check_eviction(self._pool.place, eviction_policy(config, info))

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
        await self._pool.run(mirror_commands(messages))

    async def _store(self, commands: Sequence[Command], messages: Sequence[Outgoing]) -> None:
        """Execute commands that store the messages; mirror these if anybody subscribes, which is rare."""
        replies = await self._pool.try_run([*commands, *watcher_commands(messages)])
        stored, watchers = replies[: len(commands)], replies[len(commands) :]
        self._pool.check(stored)
        # Errors within a transaction are in the reply to EXEC.
        self._pool.check([result for reply in stored if isinstance(reply, list) for result in reply])
        if are_watched(watchers):
            # Mirrors may be lost; the caller must not publish again because of that.
            with suppress(BusUnavailable):
                await self._pool.run(mirror_commands(messages))

    async def ensure_group(self, stream: str, group: str) -> None:
        [reply] = await self._pool.try_run([("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")])
        if isinstance(reply, ResponseError) and not str(reply).startswith("BUSYGROUP"):
            raise self._pool.place.failure(reply) from None

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
            # Some servers (fakeredis) answer a blocking read at once; a pause avoids a busy loop.
            await asyncio.sleep(_EARLY_SECONDS if streams else rest)

    async def ack(self, group: str, deliveries: Sequence[Delivery]) -> None:
        await self._pool.run(done_commands(Done(group, deliveries)))

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        found: list[Delivery] = []
        after = b"0"
        with suppress(GroupMissing):
            while entries := await self._history(stream, group, consumer, after):
                found += deliveries(stream, entries)
                gone = [entry_id for entry_id, fields in entries if fields is None]
                await self._pool.run([("XACK", stream, group, *gone)] if gone else [])
                after = entries[-1][0]
            return found
        return []

    async def consumers(self, stream: str, group: str) -> list[str]:
        [reply] = await self._pool.try_run([("XPENDING", stream, group)])
        if isinstance(reply, ResponseError):
            failure = self._pool.place.failure(reply)
            if isinstance(failure, GroupMissing):
                return []
            raise failure from None
        return sorted(name.decode() for name, _ in reply[3] or [])

    async def holders(self, stream: str, group: str) -> dict[str, str]:
        with suppress(GroupMissing):
            return await self._held(stream, group)
        return {}

    async def forget_consumer(self, stream: str, group: str, consumer: str) -> None:
        # DELCONSUMER drops pending entries; they would stay in the stream for ever, held by nobody.
        listing = ("XPENDING", stream, group, "-", "+", 1, consumer)
        with suppress(GroupMissing):
            if not (await self._pool.run([listing]))[0]:
                await self._pool.run([("XGROUP", "DELCONSUMER", stream, group, consumer)])

    async def entries(self, stream: str) -> list[Delivery]:
        return await self._range(stream, b"+")

    async def orphaned(self, stream: str, group: str) -> list[Delivery]:
        with suppress(GroupMissing):
            [groups] = await self._pool.run([("XINFO", "GROUPS", stream)])
            # Asked for first: whatever is read from now on is newer than this entry.
            last = last_delivered(groups, group)
            held = await self._held(stream, group) if last is not None else {}
            found = await self._range(stream, last) if last is not None else []
            return [each for each in found if each.entry_id not in held]
        return []

    async def depth(self, stream: str) -> int:
        return int((await self._pool.run([("XLEN", stream)]))[0])

    async def incarnation(self) -> str:
        mark = secrets.token_hex(16)
        [info] = await self._pool.try_run([("INFO", "server")])
        _, value = await self._pool.run([("SET", INCARNATION_KEY, mark, "NX"), ("GET", INCARNATION_KEY)])
        # INFO may be forbidden or unknown; the key alone still shows a flush and a restart without data.
        return f"{info_field(info, 'run_id')}:{(value or b'').decode()}"

    def subscribe(self, channels: Sequence[str]) -> RedisSubscription:
        """See SubscribePort; `ready()` of what is returned waits for the server's confirmation."""
        check_channels(channels)
        subscription = RedisSubscription(
            self._pool.new_connection, channels, self._pool.timeout, self._subscriptions.discard
        )
        self._subscriptions.add(subscription)
        return subscription

    async def close(self) -> None:
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        await self._pool.close()

    async def _read_once(
        self, streams: Sequence[str], group: str, consumer: str, count: int, block_ms: int
    ) -> list[Delivery]:
        if not streams:
            return []
        command = read_command(tuple(streams), group, consumer, count, block_ms)
        [reply] = await self._pool.run([command], block_ms / 1000)
        return [found for name, entries in reply or [] for found in deliveries(name.decode(), entries)]

    async def _range(self, stream: str, last: bytes) -> list[Delivery]:
        found: list[Delivery] = []
        after = b"-"
        while page := (await self._pool.run([("XRANGE", stream, after, last, "COUNT", PAGE)]))[0]:
            found += deliveries(stream, page)
            after = b"(" + page[-1][0]
        return found

    async def _held(self, stream: str, group: str) -> dict[str, str]:
        """The ids of all pending entries, with their consumers."""
        found: dict[str, str] = {}
        after = b"-"
        while page := (await self._pool.run([("XPENDING", stream, group, after, "+", PAGE)]))[0]:
            found.update((entry[0].decode(), entry[1].decode()) for entry in page)
            after = b"(" + page[-1][0]
        return found

    async def _history(self, stream: str, group: str, consumer: str, after: bytes) -> list[Any]:
        command = ("XREADGROUP", "GROUP", group, consumer, "COUNT", PAGE, "STREAMS", stream, after)
        [reply] = await self._pool.run([command])
        found: list[Any] = reply[0][1]
        return found

"""The message bus within one process: for tests and for runs that need no Redis.

It is strict: it refuses what a server refuses, loses what a server loses, and receives nothing before a
subscription is ready.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.bus.mailbox import check_channels, check_read, checked_payload
from contracts.bus.memory_broker import Group, MemoryBroker, MemorySubscription
from contracts.ports.bus import Delivery, Done, Outgoing

_ENTRY_ID: Final = re.compile(r"(\d+)-0")


def _number(entry_id: str) -> int:
    match = _ENTRY_ID.fullmatch(entry_id)
    if match is None:
        raise BusUnavailable(f"the bus in memory: invalid entry id {entry_id!r}")
    return int(match[1])


class MemoryBus:
    """MessageBus on a MemoryBroker; objects that share the broker exchange messages."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._shared = broker
        self._subscriptions: set[MemorySubscription] = set()
        self._closed = False

    @property
    def broker(self) -> MemoryBroker:
        """The broker, for its switches."""
        return self._shared

    async def check_policy(self) -> None:
        """Do nothing, since nothing is ever evicted. Raises BusUnavailable."""
        await self._open()

    async def publish(
        self, messages: Sequence[Outgoing], *, hints: Sequence[Outgoing] = (), done: Done | None = None
    ) -> None:
        broker = await self._open()
        _do(broker, done, _checked(messages), _checked(hints))

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        _do(await self._open(), done, _checked(messages), [])

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        _do(await self._open(), None, [], _checked(messages))

    async def ensure_group(self, stream: str, group: str) -> None:
        (await self._open()).made_stream(stream).groups.setdefault(group, Group())

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        check_read(count, block_ms)
        clock = asyncio.get_running_loop().time
        deadline = clock() + block_ms / 1000
        while True:
            broker = await self._open()
            found = [each for name in streams for each in _take(broker, name, group, consumer, count)]
            rest = deadline - clock()
            if found or rest <= 0:
                return found
            await broker.change(rest)

    async def ack(self, group: str, deliveries: Sequence[Delivery]) -> None:
        _do(await self._open(), Done(group, deliveries), [], [])

    async def pending(self, stream: str, group: str, consumer: str) -> list[Delivery]:
        broker = await self._open()
        try:
            found, of_group = broker.group(stream, group)
        except GroupMissing:
            return []
        numbers = of_group.pending.get(consumer, [])
        numbers[:] = [number for number in numbers if number in found.entries]
        return [Delivery(stream, f"{number}-0", found.entries[number]) for number in numbers]

    async def consumers(self, stream: str, group: str) -> list[str]:
        try:
            _, of_group = (await self._open()).group(stream, group)
        except GroupMissing:
            return []
        return sorted(name for name, numbers in of_group.pending.items() if numbers)

    async def holders(self, stream: str, group: str) -> dict[str, str]:
        try:
            found, of_group = (await self._open()).group(stream, group)
        except GroupMissing:
            return {}
        return {
            f"{number}-0": name
            for name, numbers in of_group.pending.items()
            for number in numbers
            if number in found.entries
        }

    async def forget_consumer(self, stream: str, group: str, consumer: str) -> None:
        broker = await self._open()
        with suppress(GroupMissing):
            _, of_group = broker.group(stream, group)
            if not of_group.pending.get(consumer):
                of_group.pending.pop(consumer, None)

    async def entries(self, stream: str) -> list[Delivery]:
        found = (await self._open()).stream(stream)
        held = found.entries.items() if found else ()
        return [Delivery(stream, f"{number}-0", payload) for number, payload in held]

    async def orphaned(self, stream: str, group: str) -> list[Delivery]:
        broker = await self._open()
        try:
            found, of_group = broker.group(stream, group)
        except GroupMissing:
            return []
        held = {number for numbers in of_group.pending.values() for number in numbers}
        return [
            Delivery(stream, f"{number}-0", payload)
            for number, payload in found.entries.items()
            if number <= of_group.last and number not in held
        ]

    async def depth(self, stream: str) -> int:
        found = (await self._open()).stream(stream)
        return len(found.entries) if found else 0

    async def incarnation(self) -> str:
        return (await self._open()).incarnation()

    def subscribe(self, channels: Sequence[str]) -> MemorySubscription:
        """See SubscribePort; what is returned listens from its `ready()` on."""
        check_channels(channels)
        subscription = MemorySubscription(self._shared, channels, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        return subscription

    async def close(self) -> None:
        self._closed = True
        self._shared.wake()
        for subscription in tuple(self._subscriptions):
            await subscription.close()

    async def _open(self) -> MemoryBroker:
        # Lets other tasks run, as every call to a server does.
        await asyncio.sleep(0)
        if self._closed:
            raise BusUnavailable("the bus in memory was closed by this program")
        self._shared.check_running()
        return self._shared


def _checked(messages: Sequence[Outgoing]) -> list[tuple[str, bytes]]:
    return [(message.stream, checked_payload(message.stream, message.payload)) for message in messages]


def _do(
    broker: MemoryBroker,
    done: Done | None,
    messages: list[tuple[str, bytes]],
    hints: list[tuple[str, bytes]],
) -> None:
    if done:
        _remove(broker, done)
    for stream, payload in messages:
        broker.append(stream, payload)
        broker.announce(stream, payload)
    for channel, payload in hints:
        broker.announce(channel, payload)


def _remove(broker: MemoryBroker, done: Done) -> None:
    for delivery in done.deliveries:
        number = _number(delivery.entry_id)
        stream = broker.stream(delivery.stream)
        if stream is not None:
            stream.entries.pop(number, None)
            _acknowledge(stream.groups.get(done.group), number)


def _take(broker: MemoryBroker, name: str, group: str, consumer: str, count: int) -> list[Delivery]:
    stream, of_group = broker.group(name, group)
    unread = range(of_group.last + 1, stream.newest + 1)
    fresh = list(islice((number for number in unread if number in stream.entries), count))
    if not fresh:
        return []
    of_group.last = fresh[-1]
    of_group.pending.setdefault(consumer, []).extend(fresh)
    return [Delivery(name, f"{number}-0", stream.entries[number]) for number in fresh]


def _acknowledge(group: Group | None, number: int) -> None:
    for numbers in group.pending.values() if group else ():
        if number in numbers:
            numbers.remove(number)

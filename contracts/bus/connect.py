"""The message bus for a URL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from contracts.base.errors import NotConfigured
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.ports.bus import MessageBus

if TYPE_CHECKING:
    from contracts.bus.redis_bus import RedisBus

_MEMORY_URL: Final = re.compile(r"memory://([A-Za-z0-9_.-]*)")

_brokers: WeakValueDictionary[str, MemoryBroker] = WeakValueDictionary()


ANSWER_SECONDS: Final = 10.0
"""How long a server may take to connect and to answer."""


def open_message_bus(url: str = "redis://127.0.0.1:6379/0") -> MessageBus:
    """Make the bus at `url`, not yet connected: redis://, rediss:// or unix:// for a server.

    memory://NAME stays in this process: every bus of that name shares one broker, which is dropped with the
    last of them. Raises NotConfigured for any other URL.
    """
    return _make(url, ANSWER_SECONDS)


async def connect_message_bus(url: str, *, timeout: float = ANSWER_SECONDS) -> MessageBus:
    """Make the bus at `url` and check that the server answers and never evicts messages.

    Raises what open_message_bus raises, NotConfigured for a server that evicts, BusUnavailable without one.
    """
    bus = _make(url, timeout)
    try:
        await bus.check_policy()
    except BaseException:
        await bus.close()
        raise
    return bus


def _make(url: str, timeout: float) -> MemoryBus | RedisBus:
    memory = _MEMORY_URL.fullmatch(url)
    if memory:
        return MemoryBus(_brokers.setdefault(memory[1], MemoryBroker()))
    if url.startswith("memory:"):
        raise NotConfigured("the bus in memory is named with letters, digits, '_', '-', '.': memory://test-1")
    # redis-py takes a while to import, and the bus in memory needs none of it.
    from contracts.bus.redis_bus import RedisBus  # noqa: PLC0415  # see above

    return RedisBus(url, timeout=timeout)

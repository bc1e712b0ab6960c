"""Which bus a URL gives, and the parts that all share."""

from __future__ import annotations

import asyncio
import gc

import pytest

from contracts.base.errors import BusUnavailable, NotConfigured
from contracts.bus.connect import connect_message_bus, open_message_bus
from contracts.bus.mailbox import Mailbox
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.bus.redis_bus import RedisBus
from contracts.ports.bus import Delivery, Outgoing


async def test_servers_get_a_redis_bus() -> None:
    for url in ("redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///absent?db=0"):
        assert isinstance(open_message_bus(url), RedisBus)
    assert isinstance(open_message_bus(), RedisBus)


async def test_memory_buses_of_one_name_talk_to_each_other_and_to_no_other() -> None:
    one, two, other = (open_message_bus(f"memory://{name}") for name in ("test-1", "test-1", "test-2"))
    await one.publish([Outgoing("s", b"1")])
    assert [await bus.depth("s") for bus in (one, two, other)] == [1, 1, 0]


async def test_the_memory_goes_with_the_last_bus_of_the_name() -> None:
    bus = open_message_bus("memory://test-3")
    await bus.publish([Outgoing("s", b"1")])
    del bus
    gc.collect()
    assert await open_message_bus("memory://test-3").depth("s") == 0


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory:x", "the bus in memory is named"),
        ("memory://a/b", "the bus in memory is named"),
        ("amqp://localhost", "redis://"),
        ("localhost:6379", "redis://"),
    ],
)
def test_other_urls_are_refused(url: str, said: str) -> None:
    with pytest.raises(NotConfigured, match=said):
        open_message_bus(url)


async def test_connecting_to_nothing_says_so() -> None:
    with pytest.raises(BusUnavailable, match=r"/absent/redis\.sock"):
        await connect_message_bus("unix:///absent/redis.sock")
    assert isinstance(await connect_message_bus("memory://test-4"), MemoryBus)


async def test_the_memory_bus_refuses_entry_ids_that_it_never_gave() -> None:
    bus = MemoryBus(MemoryBroker())
    with pytest.raises(BusUnavailable, match="invalid entry id 'x'"):
        await bus.ack("g", [Delivery("s", "x", b"")])


async def test_a_memory_subscription_hears_nothing_before_it_is_ready() -> None:
    bus = MemoryBus(MemoryBroker())
    subscription = bus.subscribe(["s"])
    await bus.broadcast([Outgoing("s", b"too early")])
    await subscription.ready()
    await bus.broadcast([Outgoing("s", b"in time")])
    assert await anext(subscription) == ("s", b"in time")


@pytest.mark.parametrize(
    ("box", "kept"), [(Mailbox(max_messages=2), [b"22", b"333"]), (Mailbox(max_bytes=4), [b"333"])]
)
async def test_a_full_mailbox_forgets_the_oldest(box: Mailbox, kept: list[bytes]) -> None:
    """I9."""
    for payload in (b"1", b"22", b"333"):
        box.put("s", payload)
    assert [await box.get() for _ in kept] == [("s", payload) for payload in kept]
    waiting = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    box.close()
    box.put("s", b"late")
    assert await waiting is None

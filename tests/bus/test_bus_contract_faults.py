"""The contract of MessageBus while servers die, forget and are kept waiting; kept by the fake too."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from contracts.base.errors import BusUnavailable, GroupMissing
from contracts.ports.bus import Delivery
from tests.bus.servers import (
    DEVIATIONS,
    FOREVER_MS,
    Bus,
    BusServer,
    NewBus,
    messages,
    payloads,
    read_now,
)


async def test_reading_without_a_group_says_so(bus: Bus, server: BusServer) -> None:
    await bus.publish(messages("s", b"1"))
    with pytest.raises(GroupMissing):
        await read_now(bus)
    with pytest.raises(GroupMissing):
        await bus.read(["no such stream"], "g", "c", count=1, block_ms=FOREVER_MS)
    await bus.ensure_group("s", "g")
    server.destroy_group("s", "g")
    with pytest.raises(GroupMissing):
        await read_now(bus)


async def test_after_a_flush_groups_are_missing_and_can_be_made_again(bus: Bus, server: BusServer) -> None:
    """I5: the reader hears of it, and goes on with the same bus."""
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"lost"))
    server.flush()
    with pytest.raises(GroupMissing):
        await read_now(bus)
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"again"))
    assert payloads(await read_now(bus)) == [b"again"]


async def test_a_flush_wakes_a_blocked_reader(new_bus: NewBus, server: BusServer) -> None:
    reader = new_bus()
    await reader.ensure_group("s", "g")
    slow = (server.name, "flush_unblocks") in DEVIATIONS
    block_ms = 300 if slow else FOREVER_MS
    reading = asyncio.create_task(reader.read(["s"], "g", "c", count=1, block_ms=block_ms))
    await server.reader_blocked()
    server.flush()
    if not slow:
        with pytest.raises(GroupMissing):
            await reading
        return
    await asyncio.wait([reading])
    assert isinstance(reading.exception(), GroupMissing) or reading.result() == []
    with pytest.raises(GroupMissing):
        await read_now(reader)


async def test_incarnation_changes_with_every_loss_of_memory(new_bus: NewBus, server: BusServer) -> None:
    """I5: what the reconciler goes by."""
    first, second = new_bus(), new_bus()
    seen = [await first.incarnation()]
    assert await second.incarnation() == seen[0] == await first.incarnation()
    server.flush()
    seen.append(await first.incarnation())
    assert await second.incarnation() == seen[-1]
    await server.kill()
    await server.start()
    seen.append(await first.incarnation())
    assert len(set(seen)) == 3
    assert all(seen)


async def test_a_subscription_outlives_the_server(new_bus: NewBus, server: BusServer) -> None:
    listener, writer = new_bus(), new_bus()
    subscription = listener.subscribe(["s", "t.*"])
    await subscription.ready()
    await server.kill()
    await server.start()
    heard = asyncio.create_task(anext(subscription))
    while not heard.done():
        await writer.broadcast(messages("t.1", b"back"))
        await asyncio.wait([heard], timeout=0.05)
    assert await heard == ("t.1", b"back")


async def test_a_dead_server_is_unavailable_and_the_bus_heals(bus: Bus, server: BusServer) -> None:
    await bus.ensure_group("s", "g")
    await server.kill()
    try:
        for call in (
            bus.publish(messages("s", b"1")),
            bus.broadcast(messages("s", b"1")),
            bus.ensure_group("s", "g"),
            read_now(bus),
            bus.ack("g", [Delivery("s", "1-0", b"")]),
            bus.pending("s", "g", "c"),
            bus.forget_consumer("s", "g", "c"),
            bus.orphaned("s", "g"),
            bus.holders("s", "g"),
            bus.depth("s"),
            bus.incarnation(),
            bus.check_policy(),
        ):
            with pytest.raises(BusUnavailable):
                await call
    finally:
        await server.start()
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"2"))
    assert payloads(await read_now(bus)) == [b"2"]


async def test_a_blocked_reader_notices_the_death_of_the_server(bus: Bus, server: BusServer) -> None:
    await bus.ensure_group("s", "g")
    reading = asyncio.create_task(bus.read(["s"], "g", "c", count=1, block_ms=FOREVER_MS))
    await server.reader_blocked()
    await server.kill()
    try:
        with pytest.raises(BusUnavailable):
            await reading
    finally:
        await server.start()


async def test_idle_connections_are_not_trusted_after_a_restart(bus: Bus, server: BusServer) -> None:
    """I5, G22: nobody hears of a server that came back while nothing was asked of it."""
    await asyncio.gather(*(bus.depth("s") for _ in range(20)))
    await server.kill()
    await server.start()
    assert await asyncio.gather(*(bus.depth("s") for _ in range(20))) == [0] * 20


async def test_cancelled_reads_leave_the_bus_usable(new_bus: NewBus) -> None:
    """A reply that comes after the cancellation must answer nobody else's question."""
    bus, writer = new_bus(), new_bus()
    await writer.ensure_group("s", "g")
    for number in range(20):
        await writer.publish(messages(f"depth-{number}", *[b"x"] * number))
    dice = random.Random(7)
    for turn in range(150):
        reading = asyncio.create_task(bus.read(["s"], "g", "c", count=1, block_ms=FOREVER_MS))
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        if turn % 5 == 0:
            await writer.publish(messages("s", b"%d" % turn))
        reading.cancel()
        await asyncio.wait([reading])
        number = turn % 20
        assert await bus.depth(f"depth-{number}") == number
    await read_now(bus)
    # Each message was taken once: those of cancelled reads wait among the pending.
    assert payloads(await bus.pending("s", "g", "c")) == [b"%d" % turn for turn in range(0, 150, 5)]


async def test_cancelled_writes_leave_the_bus_usable(bus: Bus) -> None:
    dice = random.Random(8)
    for turn in range(100):
        writing = asyncio.create_task(bus.publish(messages("s", *[b"x" * 1_000] * 20)))
        for _ in range(dice.randrange(12)):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        assert await bus.depth(f"never-{turn}") == 0
        assert await bus.incarnation() == await bus.incarnation()


async def test_concurrent_readers_share_the_work(new_bus: NewBus) -> None:
    writer = new_bus()
    await writer.ensure_group("s", "g")
    sent = [b"%d" % number for number in range(400)]
    taken: list[bytes] = []

    async def consume(bus: Bus, consumer: str) -> None:
        own: list[int] = []
        while len(taken) < len(sent):
            found = await bus.read(["s"], "g", consumer, count=7, block_ms=50)
            await bus.ack("g", found)
            own += [int(each.payload) for each in found]
            taken.extend(each.payload for each in found)
        assert own == sorted(own)

    shared, single = new_bus(), new_bus()
    readers = [consume(shared if number % 2 else single, f"c{number}") for number in range(8)]

    async def produce() -> None:
        for start in range(0, len(sent), 20):
            await writer.publish(messages("s", *sent[start : start + 20]))

    await asyncio.gather(produce(), *readers)
    assert Counter(taken) == Counter(sent)
    assert await writer.depth("s") == 0


async def test_a_closed_bus_refuses(bus: Bus) -> None:
    subscription = bus.subscribe(["s"])
    await bus.depth("s")
    await bus.close()
    await bus.close()
    with pytest.raises(BusUnavailable, match="closed by this program"):
        await bus.depth("s")
    assert [message async for message in subscription] == []


async def test_closing_ends_a_blocked_read(bus: Bus, server: BusServer) -> None:
    await bus.ensure_group("s", "g")
    reading = asyncio.create_task(bus.read(["s"], "g", "c", count=1, block_ms=FOREVER_MS))
    await server.reader_blocked()
    await bus.close()
    with pytest.raises(BusUnavailable):
        await reading

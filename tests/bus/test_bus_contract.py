"""The contract of MessageBus, kept by every server and by the fake."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref

import pytest

from contracts.ports.bus import Delivery, Done, Outgoing
from tests.bus.servers import (
    DEVIATIONS,
    FOREVER_MS,
    Bus,
    BusServer,
    NewBus,
    RedisServer,
    messages,
    payloads,
    read_now,
)


async def test_entries_arrive_in_order_and_once(bus: Bus) -> None:
    await bus.ensure_group("s", "g")
    sent = [b"%d" % number for number in range(300)]
    await bus.publish(messages("s", *sent[:100]))
    await bus.publish(messages("s", *sent[100:]))
    assert payloads(await read_now(bus)) == sent
    assert await read_now(bus) == []


async def test_publishing_nothing_is_allowed(bus: Bus) -> None:
    await bus.publish([])
    await bus.broadcast([])
    await bus.ack("g", [])
    assert await bus.depth("s") == 0


async def test_one_call_acknowledges_publishes_and_hints(bus: Bus) -> None:
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"request"))
    subscription = bus.subscribe(["s", "hints"])
    await subscription.ready()
    done = Done("g", await read_now(bus))
    await bus.publish(messages("s", b"next"), hints=messages("hints", b"hint"), done=done)
    heard = {await anext(subscription), await anext(subscription)}
    assert heard == {("s", b"next"), ("hints", b"hint")}
    assert payloads(await bus.entries("s")) == [b"next"]
    assert await bus.pending("s", "g", "c") == []
    assert await bus.depth("hints") == 0
    await subscription.close()


async def test_an_answer_replaces_what_led_to_it(bus: Bus) -> None:
    await bus.ensure_group("requests", "g")
    await bus.publish(messages("requests", b"1", b"2", b"3"))
    first, second = await bus.read(["requests"], "g", "c", count=2, block_ms=0)
    await bus.answer(Done("g", [first]), messages("results", b"outcome"))
    await bus.answer(Done("g", [second]), [])
    await bus.answer(Done("g", []), [])
    assert payloads(await bus.entries("requests")) == [b"3"]
    assert payloads(await bus.entries("results")) == [b"outcome"]
    assert await bus.pending("requests", "g", "c") == []


async def test_a_new_group_starts_at_the_first_entry(bus: Bus) -> None:
    await bus.publish(messages("s", b"before"))
    await bus.ensure_group("s", "g")
    assert payloads(await read_now(bus)) == [b"before"]


async def test_ensure_group_again_changes_nothing(bus: Bus) -> None:
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"1"))
    await read_now(bus)
    await bus.ensure_group("s", "g")
    assert await read_now(bus) == []
    assert payloads(await bus.pending("s", "g", "c")) == [b"1"]


async def test_each_group_gets_all_and_within_it_one_consumer_each(new_bus: NewBus) -> None:
    first, second = new_bus(), new_bus()
    await first.ensure_group("s", "g")
    await first.ensure_group("s", "other")
    await first.publish(messages("s", b"1", b"2", b"3"))
    one = await first.read(["s"], "g", "c1", count=2, block_ms=0)
    two = await second.read(["s"], "g", "c2", count=2, block_ms=0)
    assert (payloads(one), payloads(two)) == ([b"1", b"2"], [b"3"])
    assert payloads(await read_now(second, group="other")) == [b"1", b"2", b"3"]


async def test_count_is_a_limit_for_each_stream(bus: Bus) -> None:
    for stream in ("a", "b", "empty"):
        await bus.ensure_group(stream, "g")
    await bus.publish(messages("a", b"a1", b"a2", b"a3") + messages("b", b"b1", b"b2", b"b3"))
    found = await bus.read(["a", "b", "empty"], "g", "c", count=2, block_ms=0)
    assert [(each.stream, each.payload) for each in found] == [
        ("a", b"a1"), ("a", b"a2"), ("b", b"b1"), ("b", b"b2")
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "block_ms"), [(0, 0), (-1, 0), (1, -1)])
async def test_limits_that_make_no_sense_are_refused(bus: Bus, count: int, block_ms: int) -> None:
    await bus.ensure_group("s", "g")
    with pytest.raises(ValueError, match="count must be 1 or more"):
        await bus.read(["s"], "g", "c", count=count, block_ms=block_ms)


@pytest.mark.parametrize("block_ms", [0, 30])
async def test_without_messages_a_read_ends_by_itself(bus: Bus, block_ms: int) -> None:
    await bus.ensure_group("s", "g")
    assert await bus.read(["s"], "g", "c", count=1, block_ms=block_ms) == []
    assert await bus.read([], "g", "c", count=1, block_ms=block_ms) == []


async def test_a_blocked_reader_wakes_for_a_message(new_bus: NewBus, server: BusServer) -> None:
    reader, writer = new_bus(), new_bus()
    for stream in ("quiet", "s"):
        await writer.ensure_group(stream, "g")
    reading = asyncio.create_task(reader.read(["quiet", "s"], "g", "c", count=5, block_ms=FOREVER_MS))
    await server.reader_blocked()
    await writer.publish(messages("s", b"wake up"))
    assert payloads(await reading) == [b"wake up"]


async def test_a_bus_works_while_one_of_its_readers_is_blocked(bus: Bus, server: BusServer) -> None:
    await bus.ensure_group("s", "g")
    reading = asyncio.create_task(bus.read(["s"], "g", "c", count=5, block_ms=FOREVER_MS))
    await server.reader_blocked()
    assert await bus.depth("s") == 0
    await bus.publish(messages("s", b"1"))
    assert payloads(await reading) == [b"1"]


async def test_ack_deletes(bus: Bus) -> None:
    await bus.ensure_group("a", "g")
    await bus.ensure_group("b", "g")
    await bus.publish(messages("a", b"1", b"2") + messages("b", b"3"))
    found = await bus.read(["a", "b"], "g", "c", count=9, block_ms=0)
    assert (await bus.depth("a"), await bus.depth("b")) == (2, 1)
    await bus.ack("g", [found[0], found[2]])
    assert (await bus.depth("a"), await bus.depth("b")) == (1, 0)
    assert payloads(await bus.pending("a", "g", "c")) == [b"2"]
    assert await bus.pending("b", "g", "c") == []


async def test_ack_of_the_unknown_is_ignored(bus: Bus) -> None:
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"1"))
    [found] = await read_now(bus)
    await bus.ack("g", [found, found])
    await bus.ack("g", [found])
    await bus.ack("no such group", [found])
    await bus.ack("g", [Delivery("no such stream", found.entry_id, b"")])
    assert await bus.depth("s") == 0


async def test_pending_is_by_consumer_and_oldest_first(bus: Bus) -> None:
    await bus.ensure_group("s", "g")
    sent = [b"%d" % number for number in range(1_200)]
    await bus.publish(messages("s", *sent))
    await bus.read(["s"], "g", "c1", count=1_100, block_ms=0)
    await bus.read(["s"], "g", "c2", count=1_000, block_ms=0)
    assert payloads(await bus.pending("s", "g", "c1")) == sent[:1_100]
    assert payloads(await bus.pending("s", "g", "c2")) == sent[1_100:]
    assert await bus.pending("s", "g", "nobody") == []


async def test_entries_are_all_that_nobody_acknowledged(bus: Bus) -> None:
    assert await bus.entries("s") == []
    await bus.ensure_group("s", "g")
    sent = [str(number).encode() for number in range(1_200)]
    await bus.publish([Outgoing("s", payload) for payload in sent])
    read = await bus.read(["s"], "g", "c", count=3, block_ms=0)
    assert payloads(await bus.entries("s")) == sent
    await bus.ack("g", read[:2])
    assert payloads(await bus.entries("s")) == sent[2:]


async def test_consumers_are_those_with_entries_in_their_hands(bus: Bus) -> None:
    assert await bus.consumers("s", "g") == []
    await bus.ensure_group("s", "g")
    await bus.publish([Outgoing("s", b"1"), Outgoing("s", b"2")])
    first = await bus.read(["s"], "g", "b", count=1, block_ms=0)
    await bus.read(["s"], "g", "a", count=1, block_ms=0)
    await bus.read(["s"], "g", "idle", count=1, block_ms=0)
    assert await bus.consumers("s", "g") == ["a", "b"]
    await bus.ack("g", first)
    assert await bus.consumers("s", "g") == ["a"]


async def test_holders_are_told_by_entry(bus: Bus) -> None:
    assert await bus.holders("s", "g") == {}
    await bus.ensure_group("s", "g")
    assert await bus.holders("s", "g") == {}
    await bus.publish(messages("s", b"1", b"2", b"3"))
    [first] = await bus.read(["s"], "g", "b", count=1, block_ms=0)
    [second] = await bus.read(["s"], "g", "a", count=1, block_ms=0)
    assert await bus.holders("s", "g") == {first.entry_id: "b", second.entry_id: "a"}
    await bus.ack("g", [first])
    assert await bus.holders("s", "g") == {second.entry_id: "a"}


async def test_pending_leaves_out_what_another_group_deleted(bus: Bus) -> None:
    await bus.ensure_group("s", "g")
    await bus.ensure_group("s", "other")
    await bus.publish(messages("s", b"1", b"2"))
    await read_now(bus)
    first, _ = await read_now(bus, group="other")
    await bus.ack("other", [first])
    assert payloads(await bus.pending("s", "g", "c")) == [b"2"]
    assert payloads(await bus.pending("s", "g", "c")) == [b"2"]


async def test_pending_of_what_is_gone_is_empty(bus: Bus, server: BusServer) -> None:
    assert await bus.pending("no such stream", "g", "c") == []
    await bus.ensure_group("s", "g")
    server.destroy_group("s", "g")
    assert await bus.pending("s", "g", "c") == []


async def test_a_consumer_is_forgotten_only_with_empty_hands(bus: Bus) -> None:  # I1
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"1", b"2"))
    held = await read_now(bus, consumer="dead")
    await bus.ack("g", held[:1])
    await bus.forget_consumer("s", "g", "dead")
    assert await bus.pending("s", "g", "dead") == held[1:]
    await bus.ack("g", held[1:])
    await bus.forget_consumer("s", "g", "dead")
    assert await bus.pending("s", "g", "dead") == []


async def test_adrift_is_what_was_read_and_is_in_nobodys_hands(bus: Bus, server: BusServer) -> None:  # I1
    await bus.ensure_group("s", "g")
    sent = [b"%d" % number for number in range(1_200)]
    await bus.publish(messages("s", *sent))
    await bus.read(["s"], "g", "alive", count=600, block_ms=0)
    lost = await bus.read(["s"], "g", "dead", count=590, block_ms=0)
    assert await bus.orphaned("s", "g") == []
    server.drop_consumer("s", "g", "dead")
    assert await bus.orphaned("s", "g") == lost
    await bus.ack("g", lost)
    assert await bus.orphaned("s", "g") == []
    assert await bus.depth("s") == 610


async def test_nothing_is_adrift_where_there_is_no_group(bus: Bus, server: BusServer) -> None:
    assert await bus.orphaned("no such stream", "g") == []
    await bus.ensure_group("s", "g")
    await bus.publish(messages("s", b"1"))
    await read_now(bus)
    server.destroy_group("s", "g")
    assert await bus.orphaned("s", "g") == []


async def test_forgetting_what_is_gone_is_allowed(bus: Bus, server: BusServer) -> None:
    await bus.forget_consumer("no such stream", "g", "c")
    await bus.ensure_group("s", "g")
    await bus.forget_consumer("s", "g", "nobody")
    server.destroy_group("s", "g")
    await bus.forget_consumer("s", "g", "c")


async def test_published_messages_are_mirrored_and_broadcasts_not_stored(new_bus: NewBus) -> None:
    listener, writer = new_bus(), new_bus()
    subscription = listener.subscribe(["s"])
    await subscription.ready()
    await writer.publish(messages("s", b"stored"))
    await writer.broadcast(messages("other", b"not ours") + messages("s", b"told"))
    assert await anext(subscription) == ("s", b"stored")
    assert await anext(subscription) == ("s", b"told")
    assert (await writer.depth("s"), await writer.depth("other")) == (1, 0)
    await subscription.close()


async def test_a_star_listens_to_many_and_nothing_else_is_special(new_bus: NewBus) -> None:
    listener, writer = new_bus(), new_bus()
    subscription = listener.subscribe(["agent.*", "exact", "odd?[x]*"])
    await subscription.ready()
    names = [
        "agent",
        "agentx",
        "agent.requests.coder",
        "exactly",
        "oddy[x]",
        "oddyx",
        "odd?[x]1",
        "exact",
        "agent.",
    ]
    await writer.broadcast([Outgoing(name, name.encode()) for name in names])
    heard = [(await anext(subscription))[0] for _ in range(4)]
    assert heard == ["agent.requests.coder", "odd?[x]1", "exact", "agent."]


async def test_a_closed_subscription_ends_its_iteration(bus: Bus) -> None:
    subscription = bus.subscribe(["s"])
    await subscription.ready()

    async def listen() -> list[tuple[str, bytes]]:
        return [message async for message in subscription]

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await subscription.close()
    await subscription.close()
    assert await listening == []


async def test_a_bus_keeps_no_closed_subscription(bus: Bus) -> None:
    subscription = bus.subscribe(["s"])
    await subscription.ready()
    await subscription.close()
    closed = weakref.ref(subscription)
    del subscription
    gc.collect()
    assert closed() is None


async def test_a_subscription_to_nothing_is_refused(bus: Bus) -> None:
    with pytest.raises(ValueError, match="at least one channel"):
        bus.subscribe([])


async def test_a_large_payload_passes_unchanged(bus: Bus) -> None:
    large = random.Random(1).randbytes(1_000_000)
    await bus.ensure_group("s", "g")
    subscription = bus.subscribe(["s"])
    await subscription.ready()
    await bus.publish(messages("s", large, b"", b"\r\n$-1\r\n"))
    assert payloads(await read_now(bus)) == [large, b"", b"\r\n$-1\r\n"]
    assert await anext(subscription) == ("s", large)


async def test_payloads_must_be_bytes(bus: Bus) -> None:
    for payload in ("text", None, bytearray(b"1")):
        with pytest.raises(TypeError, match="payload for s must be bytes"):
            await bus.publish([Outgoing("s", b"good"), Outgoing("s", payload)])  # type: ignore[arg-type]  # on purpose
    assert await bus.depth("s") == 0


async def test_an_entry_of_others_is_delivered_empty(bus: Bus, server: BusServer) -> None:
    """I7: the reader dead-letters it; nothing breaks."""
    if not isinstance(server, RedisServer):
        pytest.skip(DEVIATIONS[server.name, "foreign_entries"])
    await bus.ensure_group("s", "g")
    server.redis.command("XADD", "s", "*", "x", "y", b"\xff", b"\xfe")
    server.redis.command("XADD", "s", "*", "first", "1", "e", "ours")
    assert payloads(await read_now(bus)) == [b"", b"ours"]
    assert payloads(await bus.pending("s", "g", "c")) == [b"", b"ours"]


async def test_a_server_that_evicts_nothing_is_accepted(bus: Bus) -> None:
    await bus.check_policy()

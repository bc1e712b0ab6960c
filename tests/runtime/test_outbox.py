"""The order of publishing and acknowledging, with the faults in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from contracts.base.errors import BusUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.ports.bus import Delivery, Done, Outgoing
from contracts.runtime.outbox import Outbox
from contracts.runtime.resend import Reply, ResendPolicy
from tests.agents.owner import until

REQUESTS, RESULTS = "agent.requests.coder", "agent.results.0"


class LossyBus(MemoryBus):
    """Does the real thing, and loses the answer as often as it is told. calls: messages and acks."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.calls: list[tuple[int, int]] = []
        self.lose = 0

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        await super().answer(done, messages)
        self.calls.append((len(messages), len(done.deliveries)))
        if self.lose:
            self.lose -= 1
            raise BusUnavailable("the answer was lost")


class LossyChannels(LossyBus):
    """Loses the answers to broadcasts instead, when more than `keep` of them were made. told: their sizes."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.told: list[list[int]] = []
        self.keep = 1_000

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        await super().broadcast(messages)
        self.told.append([len(message.payload) for message in messages])
        if len(self.told) > self.keep:
            raise BusUnavailable("the answer was lost")


def _outbox(bus: MemoryBus, resend_seconds: float, *, broadcast: bool = False) -> Outbox:
    policy = ResendPolicy(resend_seconds, resend_seconds * 15)
    return Outbox(bus, Channels.WORKERS_GROUP, policy, broadcast=broadcast)


async def _deliveries(bus: MemoryBus, count: int) -> list[Delivery]:
    await bus.ensure_group(REQUESTS, Channels.WORKERS_GROUP)
    for _ in range(count):
        await MemoryBus(bus.broker).publish([Outgoing(REQUESTS, b"request")])
    return await bus.read([REQUESTS], Channels.WORKERS_GROUP, "w", count=count, block_ms=0)


@asynccontextmanager
async def _working(outbox: Outbox) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run())
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_result_and_ack_go_together() -> None:
    bus = LossyBus(MemoryBroker())
    outbox = _outbox(bus, 600)
    [delivery] = await _deliveries(bus, 1)
    outbox.reply(Reply("d", "e", Outgoing(RESULTS, b"outcome"), [delivery]))
    async with _working(outbox):
        await until(lambda: len(bus.calls) == 1)
    assert bus.calls == [(1, 1)]
    assert await bus.entries(REQUESTS) == []


async def test_i1_what_may_not_have_been_said_is_said_again() -> None:
    bus = LossyBus(MemoryBroker())
    bus.lose = 2
    outbox = _outbox(bus, 600)
    [delivery] = await _deliveries(bus, 1)
    outbox.reply(Reply("d", "e", Outgoing(RESULTS, b"outcome"), [delivery]))
    async with _working(outbox):
        await until(lambda: len(bus.calls) == 3)
    assert bus.calls == [(1, 1)] * 3


async def test_an_ack_whose_answer_was_lost_is_said_again() -> None:
    bus = LossyBus(MemoryBroker())
    bus.lose = 1
    outbox = _outbox(bus, 600)
    [delivery] = await _deliveries(bus, 1)
    outbox.ack(delivery)
    async with _working(outbox):
        await until(lambda: len(bus.calls) == 2)
    assert bus.calls == [(0, 1), (0, 1)]


async def test_what_finishes_together_goes_out_together() -> None:
    bus = LossyBus(MemoryBroker())
    outbox = _outbox(bus, 600)
    for number, delivery in enumerate(await _deliveries(bus, 20)):
        outbox.reply(Reply(f"d{number}", f"e{number}", Outgoing(RESULTS, b"outcome"), [delivery]))
    async with _working(outbox):
        await until(lambda: len(bus.calls) == 1)
    assert bus.calls == [(20, 20)]


async def test_an_acknowledged_outcome_acks_the_entries_it_still_owes() -> None:
    bus = LossyBus(MemoryBroker())
    outbox = _outbox(bus, 600)
    [delivery] = await _deliveries(bus, 1)
    outbox.reply(Reply("d", "e", Outgoing(RESULTS, b"outcome"), [delivery]))
    outbox.confirm(["e", "unknown"])
    async with _working(outbox):
        await until(lambda: len(bus.calls) == 1)
    assert bus.calls == [(0, 1)]


async def test_i9_waits_between_repetitions_grow_and_start_anew_after_an_outage() -> None:
    bus = LossyBus(MemoryBroker())
    outbox = _outbox(bus, 1_000)
    [delivery] = await _deliveries(bus, 1)
    outbox.reply(Reply("d", "e", Outgoing(RESULTS, b"outcome"), [delivery]))
    await outbox.flush()
    await outbox.flush()
    assert bus.calls == [(1, 1)]
    outbox.resend_all()
    await outbox.flush()
    assert bus.calls[1:] == [(1, 0)]


async def test_i5_after_an_outage_everything_unacknowledged_is_said_again() -> None:
    bus = LossyBus(MemoryBroker())
    outbox = _outbox(bus, 1_000)
    first, second = await _deliveries(bus, 2)
    outbox.reply(Reply("d1", "e1", Outgoing(RESULTS, b"outcome"), [first]))
    await outbox.flush()
    bus.lose = 1
    bus.calls.clear()
    outbox.reply(Reply("d2", "e2", Outgoing(RESULTS, b"outcome"), [second]))
    async with _working(outbox):
        await until(lambda: len(bus.calls) == 2)
    assert bus.calls == [(1, 1), (2, 1)]


async def test_i1_entries_are_known_until_they_are_acknowledged() -> None:
    bus = LossyBus(MemoryBroker())
    outbox = _outbox(bus, 600)
    deliveries = await _deliveries(bus, 4)
    outcome, duplicate, dead, surplus = deliveries
    outbox.reply(Reply("d", "e", Outgoing(RESULTS, b"outcome"), [outcome]))
    assert outbox.repeat("d", duplicate)
    outbox.dead_letter(Outgoing(Channels.DEAD_LETTERS, b"dead"), dead)
    outbox.ack(surplus)
    everything = {(delivery.stream, delivery.entry_id) for delivery in deliveries}
    assert outbox.entries == everything
    bus.lose = 1
    with pytest.raises(BusUnavailable):
        await outbox.flush()
    assert outbox.entries == everything
    await outbox.flush()
    assert outbox.entries == set()


async def test_i9_many_large_replies_go_out_in_chunks_and_only_the_rest_stays_due() -> None:
    bus = LossyChannels(MemoryBroker())
    outbox = _outbox(bus, 600, broadcast=True)
    for number in range(8):
        outbox.reply(Reply(f"d{number}", f"e{number}", Outgoing(RESULTS, b"x" * 1_500_000)))
    bus.keep = 1
    with pytest.raises(BusUnavailable):
        await outbox.flush()
    bus.keep = 1_000
    await outbox.flush()
    await outbox.flush()
    assert [len(sizes) for sizes in bus.told] == [2, 2, 2, 2, 2], "the first chunk once, the second twice"


async def test_after_an_outage_what_was_not_sent_comes_first() -> None:
    bus = LossyChannels(MemoryBroker())
    outbox = _outbox(bus, 600, broadcast=True)
    for number in range(3):
        size = 3_000_000 + number
        outbox.reply(Reply(f"d{number}", f"e{number}", Outgoing(RESULTS, b"x" * size)))
    bus.keep = 1
    with pytest.raises(BusUnavailable):
        await outbox.flush()
    bus.keep = 1_000
    outbox.resend_all()
    await outbox.flush()
    assert [size - 3_000_000 for [size] in bus.told] == [0, 1, 1, 2, 0]


async def test_one_reply_larger_than_a_chunk_is_sent_alone() -> None:
    bus = LossyBus(MemoryBroker())
    outbox = _outbox(bus, 600)
    for number, size in enumerate((10, 6_000_000, 10)):
        outbox.reply(Reply(f"d{number}", f"e{number}", Outgoing(RESULTS, b"x" * size)))
    await outbox.flush()
    assert bus.calls == [(1, 0), (1, 0), (1, 0)]


async def test_i7_a_lost_broadcast_repeats_no_dead_letter() -> None:
    bus = LossyChannels(MemoryBroker())
    outbox = _outbox(bus, 600, broadcast=True)
    duplicate, dead, surplus = await _deliveries(bus, 3)
    outbox.reply(Reply("d", "e", Outgoing(RESULTS, b"outcome")))
    assert outbox.repeat("d", duplicate)
    outbox.dead_letter(Outgoing(Channels.DEAD_LETTERS, b"dead"), dead)
    outbox.ack(surplus)
    bus.keep = 0
    with pytest.raises(BusUnavailable):
        await outbox.flush()
    assert outbox.entries == set()
    bus.keep = 1_000
    await outbox.flush()
    assert bus.calls == [(1, 3)]
    assert bus.told == [[7], [7]], "the reply is sent again"
    assert await bus.depth(Channels.DEAD_LETTERS) == 1


async def test_entries_that_dropped_replies_owe_are_acknowledged() -> None:
    bus = LossyBus(MemoryBroker())
    policy = ResendPolicy(600, 600, keep_seconds=0, max_bytes=10)
    outbox = Outbox(bus, Channels.WORKERS_GROUP, policy, broadcast=True)
    aged, pushed_out = await _deliveries(bus, 2)
    outbox.reply(Reply("d1", "e1", Outgoing(RESULTS, b"outcome"), [pushed_out]))
    outbox.reply(Reply("d2", "e2", Outgoing(RESULTS, b"outcome"), [aged]))
    assert list(outbox.keys) == ["d2"]
    await outbox.flush()
    assert list(outbox.keys) == []
    assert bus.calls == [(0, 2)]
    assert await bus.entries(REQUESTS) == []

"""The consumer with a handler of a few lines, over the bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import DecodeError, NotPermitted
from contracts.base.failpoints import arm, disarm, parse_traps
from contracts.bus.memory_broker import MemoryBroker, MemorySubscription
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode
from contracts.messages.payloads import DeadLetteredMessage, WorkflowNotice
from contracts.ports.bus import Delivery, Done, Outgoing
from contracts.runtime.consumer import Consumer
from contracts.runtime.handler import ConsumerSettings, Handler
from contracts.runtime.reading import Source
from contracts.runtime.resend import ResendPolicy
from contracts.runtime.slots import InFlight
from tests.agents.owner import until

REQUESTS, RESULTS, BEATS, CONTROL = "requests", "results", "beats", "control"
LATE = ConsumerSettings(
    name="consumer/test",
    source=Source("group", "c-1", [REQUESTS], block_ms=50, creates_group=True),
    channels=[CONTROL],
    slots=2,
    acks_late=True,
    resend=ResendPolicy(0.05, 0.1),
    heartbeat_seconds=0.05,
    grace_seconds=0.1,
    cancel_seconds=0.5,
    farewell_seconds=0.5,
    clock=lambda: 1_750_000_000.0,
)
EARLY = replace(LATE, acks_late=False)


class Echo(Handler[str, str]):
    """Replies with the message, once the door is open."""

    def __init__(self, bus: MemoryBus, settings: ConsumerSettings) -> None:
        self.bus = bus
        self.door = asyncio.Event()
        self.unpacked: list[str] = []
        self.begun: list[str] = []
        self.over: set[str] = set()
        self.left: list[tuple[str, ...]] = []
        self.pauses: list[float] = []
        self.consumer = Consumer(bus, self, settings)

    def decode(self, delivery: Delivery) -> tuple[str, Callable[[], str]]:
        text = delivery.payload.decode()
        if not text.startswith("ask-"):
            raise DecodeError("no question", delivery.payload)
        return text, partial(self.unpack, text)

    def unpack(self, text: str) -> str:
        self.unpacked.append(text)
        if text.endswith("lie"):
            raise DecodeError("no content", text.encode())
        return text.upper()

    async def execute(self, message: InFlight[str]) -> str:
        self.begun.append(message.message)
        await self.door.wait()
        return message.message

    def reply(self, message: InFlight[str], result: str | None) -> Outgoing:
        return Outgoing(RESULTS, (result or f"cancelled {message.key}").encode())

    def heartbeat(self, sequence: int) -> Sequence[Outgoing]:
        return [Outgoing(BEATS, f"{sequence} {len(self.begun)}".encode())]

    async def handle_control(self, event: TaskEvent[Any]) -> None:
        self.over.add(event.data.workflow_id)
        self.consumer.slots.cancel(event.data.workflow_id)

    async def leave(self, handed_back: tuple[str, ...]) -> None:
        self.left.append(handed_back)

    def is_over(self, key: str) -> bool:
        return key in self.over

    def paused(self, seconds: float, result: str) -> None:
        self.pauses.append(seconds)


class Listener:
    """What is said on channels."""

    def __init__(self, bus: MemoryBus) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._subscription = bus.subscribe([RESULTS, BEATS])
        self._task = asyncio.create_task(self._listen())

    def on(self, channel: str) -> list[bytes]:
        return [payload for name, payload in self.heard if name == channel]

    async def _listen(self) -> None:
        async for message in self._subscription:
            self.heard.append(message)


class LateToListen(MemoryBus):
    """A bus whose subscriptions of a consumer are confirmed when a test says so."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.confirms = asyncio.Event()

    def subscribe(self, channels: Sequence[str]) -> MemorySubscription:
        confirms = self.confirms

        class Late(MemorySubscription):
            async def ready(self) -> None:
                await confirms.wait()
                await super().ready()

        return Late(self.broker, channels, lambda _: None)


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    made = MemoryBus(MemoryBroker())
    yield made
    await made.close()


@asynccontextmanager
async def serving(bus: MemoryBus, settings: ConsumerSettings) -> AsyncIterator[Echo]:
    handler = Echo(bus, settings)
    task = asyncio.create_task(handler.consumer.run())
    yield handler
    handler.consumer.stop()
    await task


async def ask(bus: MemoryBus, *texts: str) -> None:
    await MemoryBus(bus.broker).publish([Outgoing(REQUESTS, text.encode()) for text in texts])


async def cancel(bus: MemoryBus, key: str) -> None:
    event = TaskEvent[WorkflowNotice](
        id="e",
        source="test",
        type=EventType.WORKFLOW_CHANGED,
        time="2025-06-15T12:00:00Z",
        data=WorkflowNotice(workflow_id=key, status="cancelled"),
    )
    await bus.broadcast([Outgoing(CONTROL, encode(event))])


async def test_it_lives_before_it_reads_and_acknowledges_with_the_reply(bus: MemoryBus) -> None:
    heard = Listener(bus)
    await ask(bus, "ask-a")
    async with serving(bus, LATE) as handler:
        await until(lambda: handler.begun == ["ASK-A"])
        assert heard.on(BEATS)[0] == b"0 0"
        assert len(await bus.pending(REQUESTS, "group", "c-1")) == 1
        handler.door.set()
        await until(lambda: len(heard.on(RESULTS)) > 2)
        assert await bus.entries(REQUESTS) == []
    assert set(heard.on(RESULTS)) == {b"ASK-A"}
    assert handler.left == [()]


async def test_it_is_heard_of_once_it_listens() -> None:
    """Whoever hears of it may have something to say to it at once."""
    bus = LateToListen(MemoryBroker())
    heard = Listener(MemoryBus(bus.broker))
    async with serving(bus, replace(LATE, heartbeat_seconds=None)) as handler:
        await asyncio.sleep(0.1)
        assert heard.on(BEATS) == []
        bus.confirms.set()
        await until(lambda: heard.on(BEATS) == [b"0 0"])
        assert handler.begun == []


async def test_an_early_acknowledgement_comes_before_the_result(bus: MemoryBus) -> None:
    await ask(bus, "ask-a")
    async with serving(bus, EARLY) as handler:
        await until(lambda: handler.begun == ["ASK-A"])

        async def acknowledged() -> bool:
            return await bus.depth(REQUESTS) == 0

        await until(acknowledged)
        assert len(handler.consumer.slots) == 1
    assert handler.left == [("ask-a",)]
    assert await bus.depth(RESULTS) == 0, "replies are broadcast, and stored nowhere"


async def test_a_cancelled_message_is_answered_once(bus: MemoryBus) -> None:
    heard = Listener(bus)
    async with serving(bus, EARLY) as handler:
        await ask(bus, "ask-a")
        await until(lambda: handler.begun == ["ASK-A"])
        await cancel(bus, "ask-a")
        await until(lambda: heard.on(RESULTS) == [b"cancelled ask-a"])
        beats = len(heard.on(BEATS))
        await until(lambda: len(heard.on(BEATS)) > beats + 4)
        assert heard.on(RESULTS) == [b"cancelled ask-a"]
        assert handler.consumer.outbox.keys == ()


async def test_i7_what_cannot_be_read_is_a_dead_letter(bus: MemoryBus) -> None:
    await ask(bus, "nonsense", "ask-a")
    async with serving(bus, LATE) as handler:
        await until(lambda: handler.begun == ["ASK-A"])

        async def kept() -> bool:
            return await bus.depth(Channels.DEAD_LETTERS) == 1

        await until(kept)
    [letter] = await bus.entries(Channels.DEAD_LETTERS)
    event = decode(letter.payload)
    assert isinstance(event.data, DeadLetteredMessage)
    assert (event.source, event.data.stream, event.data.reason) == ("consumer/test", REQUESTS, "no question")


async def test_a_job_that_breaks_ends_the_consumer_with_its_error(bus: MemoryBus) -> None:
    async def breaks() -> None:
        raise ZeroDivisionError

    handler = Echo(bus, LATE)
    with pytest.raises(ZeroDivisionError):
        await handler.consumer.run(breaks())
    assert handler.left == [()]


async def test_only_what_is_new_and_will_start_is_unpacked(bus: MemoryBus) -> None:
    heard = Listener(bus)
    async with serving(bus, EARLY) as handler:
        await ask(bus, "ask-a", "ask-a")
        await until(lambda: handler.begun == ["ASK-A"])
        handler.door.set()
        await until(lambda: bool(heard.on(RESULTS)))
        await ask(bus, "ask-a")

        async def acknowledged() -> bool:
            return await bus.depth(REQUESTS) == 0

        await until(acknowledged)
        handler.consumer.stop()
        handler.consumer.receive([Delivery(REQUESTS, "99-0", b"ask-b")])
    assert handler.unpacked == ["ask-a"]
    assert handler.left == [("ask-b",)]


@pytest.mark.parametrize("settings", [LATE, EARLY])
async def test_i7_what_cannot_be_unpacked_is_dead(bus: MemoryBus, settings: ConsumerSettings) -> None:
    await ask(bus, "ask-lie", "ask-a")
    async with serving(bus, settings) as handler:
        await until(lambda: handler.begun == ["ASK-A"])

        async def kept() -> bool:
            return await bus.depth(Channels.DEAD_LETTERS) == 1

        await until(kept)
    [letter] = await bus.entries(Channels.DEAD_LETTERS)
    assert decode(letter.payload).data.reason == "no content"
    assert "ask-lie" not in {entry.payload.decode() for entry in await bus.entries(REQUESTS)}


@pytest.mark.parametrize(("part", "passed"), [("worker", True), (None, False)])
async def test_failpoints_are_those_of_the_part_that_the_settings_name(
    bus: MemoryBus, tmp_path: Path, part: str | None, passed: bool
) -> None:
    names = ("worker.after_read", "worker.before_outcome", "worker.after_outcome")
    log = tmp_path / "log"
    arm(parse_traps(",".join(f"{name}=note" for name in names)), log, 1)
    heard = Listener(bus)
    try:
        async with serving(bus, replace(LATE, failpoints=part)) as handler:
            await ask(bus, "ask-a")
            handler.door.set()
            await until(lambda: bool(heard.on(RESULTS)))
    finally:
        disarm()
    struck = {line.split()[2] for line in log.read_text().splitlines()}
    assert struck == (set(names) if passed else set())


async def test_what_cannot_start_at_once_goes_back_to_its_stream_for_others(bus: MemoryBus) -> None:
    streams = [REQUESTS, "more"]
    settings = replace(LATE, slots=1, returns_excess=True, source=replace(LATE.source, streams=streams))
    for stream in streams:
        await bus.ensure_group(stream, "group")
    await bus.publish([Outgoing(stream, f"ask-{stream}".encode()) for stream in streams])
    async with serving(bus, settings) as handler:
        await until(lambda: handler.begun == ["ASK-REQUESTS"])
        found = await bus.read(["more"], "group", "c-2", count=5, block_ms=5_000)
        assert [each.payload for each in found] == [b"ask-more"]
        assert await bus.pending("more", "group", "c-1") == []
        assert len(handler.consumer.slots) == 1
        handler.door.set()


async def test_one_whose_keeper_sends_the_heartbeats_sends_only_the_first(bus: MemoryBus) -> None:
    listener = Listener(bus)
    async with serving(bus, replace(LATE, heartbeat_seconds=None)) as handler:
        handler.door.set()
        await ask(bus, *(f"ask-{number}" for number in range(5)))
        await until(lambda: len(handler.begun) == 5)
        await asyncio.sleep(0.2)
    assert listener.on(BEATS) == [b"0 0"]


async def test_only_an_outage_holds_it_back(bus: MemoryBus) -> None:
    """And nobody is told of a pause where there is none."""
    await ask(bus, "ask-a", "ask-b")
    async with serving(bus, LATE) as handler:
        handler.door.set()
        await until(lambda: handler.begun == ["ASK-A", "ASK-B"])
        await until(lambda: len(handler.consumer.slots) == 0)
    assert handler.pauses == []


class NeverAnswers(MemoryBus):
    """A bus that serves reads to which its answer does not arrive."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.served = asyncio.Event()

    async def read(
        self, streams: Sequence[str], group: str, consumer: str, *, count: int, block_ms: int
    ) -> list[Delivery]:
        await super().read(streams, group, consumer, count=count, block_ms=block_ms)
        self.served.set()
        return await asyncio.Future()


async def test_leaving_waits_for_no_read_and_hands_back_what_one_was_served(bus: MemoryBus) -> None:
    settings = replace(LATE, source=replace(LATE.source, block_ms=60_000))
    async with asyncio.timeout(10), serving(bus, settings) as handler:
        await asyncio.sleep(0.1)
    assert handler.left == [()]
    await ask(bus, "ask-a")
    silent = NeverAnswers(bus.broker)
    async with asyncio.timeout(10), serving(silent, settings) as handler:
        await silent.served.wait()
    assert handler.left == [("ask-a",)]
    assert handler.begun == []


class ReadersMayNotWrite(MemoryBus):
    """A bus whose user may not write to the streams that it reads."""

    async def answer(self, done: Done, messages: Sequence[Outgoing]) -> None:
        if any(one.stream in {REQUESTS, "more"} for one in messages):
            raise NotPermitted("no permissions")
        await super().answer(done, messages)


async def test_what_may_not_be_put_back_waits_for_its_turn() -> None:
    bus = ReadersMayNotWrite(MemoryBroker())
    streams = [REQUESTS, "more"]
    settings = replace(LATE, slots=1, returns_excess=True, source=replace(LATE.source, streams=streams))
    for stream in streams:
        await bus.ensure_group(stream, "group")
    await bus.publish([Outgoing(stream, f"ask-{stream}".encode()) for stream in streams])
    async with serving(bus, settings) as handler:
        await until(lambda: handler.begun == ["ASK-REQUESTS"])
        await until(lambda: len(handler.consumer.slots) == 2)
        handler.door.set()
        await until(lambda: handler.begun == ["ASK-REQUESTS", "ASK-MORE"])
        await until(lambda: len(handler.consumer.slots) == 0)

"""What is said for a process, in which order, and that nothing said to it is missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import pytest

from agents.keeper.voice import Farewell, Voice
from contracts.base.errors import BusUnavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, encode
from contracts.messages.payloads import Control, Heartbeat, WorkerLeft
from contracts.ports.bus import Delivery, Outgoing
from tests.agents.owner import RESULTS, Owner, until


def beat(worker_id: str) -> Heartbeat:
    return Heartbeat(worker_id=worker_id, host="h", pid=1, roles=(), streams=(), slots=1, sequence=0)


class Keeper:
    """Living processes, and what was recalled."""

    def __init__(self, bus: MemoryBus) -> None:
        self.living = ["a"]
        self.recalled: list[str] = []
        self.voice = Voice(bus, 0.05, self._heartbeats, self.recalled.append)

    def _heartbeats(self, sequence: int) -> Iterable[Heartbeat]:
        return [beat(name) for name in self.living]

    def farewell(self, name: str, *after: str) -> Farewell:
        left = self.voice.messages(name).left()
        return Farewell(name, (left,), frozenset(after), beat(name))


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    made = MemoryBus(MemoryBroker())
    yield made
    await made.close()


@asynccontextmanager
async def keeping(bus: MemoryBus) -> AsyncIterator[tuple[Keeper, Owner]]:
    owner = await Owner.on(MemoryBus(bus.broker))
    keeper = Keeper(bus)
    voice = keeper.voice
    tasks = [asyncio.create_task(step) for step in (voice.speak(), voice.keep_answering(), voice.listen())]
    yield keeper, owner
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await owner.close()
    await owner.bus.close()


async def tell(bus: MemoryBus, worker_id: str, **fields: tuple[str, ...]) -> None:
    event = TaskEvent[Control](
        id="control",
        source="orchestrator/test",
        type=EventType.WORKER_CONTROL,
        time="2025-06-15T12:00:00Z",
        data=Control(**fields),
    )
    await bus.broadcast([Outgoing(Channels.control(worker_id), encode(event))])


async def test_an_end_is_answered_first_and_said_when_that_is_confirmed(bus: MemoryBus) -> None:
    async with keeping(bus) as (keeper, owner):
        voice = keeper.voice
        voice.listen_for(["a"])
        await bus.ensure_group("requests", Channels.WORKERS_GROUP)
        await bus.publish([Outgoing("requests", b"request")])
        [entry] = await bus.read(["requests"], Channels.WORKERS_GROUP, "a", count=1, block_ms=0)
        keeper.living = ["b"]
        outcome = Outgoing(RESULTS, b"outcome")
        voice.answer("d", "e", outcome, Delivery(entry.stream, entry.entry_id, b""))
        voice.bid_farewell(keeper.farewell("a", "d"))
        [stored] = await bus.read([RESULTS], Channels.ORCHESTRATORS_GROUP, "owner", count=1, block_ms=5_000)
        assert stored.payload == b"outcome"
        assert await bus.depth("requests") == 0, "answered and acknowledged in one step"
        heard = len(owner.heartbeats)
        await until(lambda: {"a", "b"} <= {one.worker_id for one in owner.heartbeats[heard:]})
        assert owner.left == [], "what comes from a worker that left may be refused"

        async def said() -> bool:
            await tell(bus, "a", acknowledged=("e",))
            return bool(owner.left)

        await until(said)
        heard = len(owner.heartbeats)
        await until(lambda: len(owner.heartbeats) > heard + 2)
        assert {one.worker_id for one in owner.heartbeats[heard:]} == {"b"}, "none follows a farewell"


async def test_a_farewell_waits_for_no_confirmation_for_ever(bus: MemoryBus) -> None:
    async with keeping(bus) as (keeper, owner):
        keeper.voice.answer("d", "e", Outgoing(RESULTS, b"outcome"), Delivery("requests", "1-0", b""))
        late = keeper.farewell("a", "d")
        late.until = time.monotonic()
        keeper.voice.bid_farewell(late)
        await until(lambda: owner.left == [WorkerLeft(worker_id="a", reason="stopped")])


class MuteBus(MemoryBus):
    """Broadcasts nothing as often as it is told."""

    refuse = 0

    async def broadcast(self, messages: Sequence[Outgoing]) -> None:
        if self.refuse:
            self.refuse -= 1
            raise BusUnavailable("away")
        await super().broadcast(messages)


async def test_a_farewell_that_the_bus_did_not_hear_is_said_again() -> None:
    bus = MuteBus(MemoryBroker())
    async with keeping(bus) as (keeper, owner):
        bus.refuse = 3
        keeper.voice.bid_farewell(keeper.farewell("a"))
        await until(lambda: owner.left == [WorkerLeft(worker_id="a", reason="stopped")])
        assert bus.refuse == 0
    await bus.close()


async def test_what_it_no_longer_listens_for_is_not_heard(bus: MemoryBus) -> None:
    async with keeping(bus) as (keeper, _):
        for name in ("a", "b"):
            keeper.voice.listen_for([name])

            async def heard(name: str = name) -> bool:
                await tell(bus, name, recalled=(f"to-{name}",))
                return f"to-{name}" in keeper.recalled

            await until(heard)
        await tell(bus, "a", recalled=("late",))
        await tell(bus, "b", recalled=("last",))
        await until(lambda: "last" in keeper.recalled)
        assert "late" not in keeper.recalled


async def test_nothing_is_missed_while_it_begins_to_listen_to_a_new_process(bus: MemoryBus) -> None:
    async with keeping(bus) as (keeper, _):
        keeper.voice.listen_for(["a"])

        async def heard() -> bool:
            await tell(bus, "a", recalled=("first",))
            return "first" in keeper.recalled

        await until(heard)
        for number in range(20):
            keeper.voice.listen_for(["a", f"new-{number}"])
            for step in range(5):
                await tell(bus, "a", recalled=(f"{number}-{step}",))
                await asyncio.sleep(0)
        await until(lambda: keeper.recalled[-1] == "19-4")
        assert len(set(keeper.recalled)) == 101

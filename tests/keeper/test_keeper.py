"""What a keeper does with processes that a test starts and ends; tests/keeper/test_ends.py has real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agents.keeper.judgement import Limits
from agents.keeper.keeper import LOOK_SECONDS, Keeper, KeeperSettings
from agents.keeper.processes import EXIT_LEFT, Exited, SlotOrder
from agents.keeper.slot import SlotPlan
from agents.worker.board import Board, Held, board_bytes
from agents.worker.lanes import Lane, Reading
from agents.worker.messages import Origin
from contracts.base.errors import NotConfigured, Unavailable
from contracts.bus.memory_broker import MemoryBroker
from contracts.bus.memory_bus import MemoryBus
from contracts.messages.payloads import TaskOutcome
from tests.agents.owner import RESULTS, Owner, until

STREAM = "agent.requests.coder"
PLACES = 8


@dataclass
class Processes:
    """Starts nothing: a process is what the test says of it."""

    orders: list[SlotOrder] = field(default_factory=list)
    signals: list[tuple[int, int]] = field(default_factory=list)
    refuse: int = 0
    """How often no process can be started."""
    obey: bool = True
    """Whether SIGTERM ends a process; SIGKILL does."""
    exited: Exited = lambda _pid, _status: None
    lost: Callable[[], None] = lambda: None

    def listen(self, exited: Exited, lost: Callable[[], None]) -> None:
        self.exited, self.lost = exited, lost

    async def start(self, order: SlotOrder) -> int:
        if self.refuse:
            self.refuse -= 1
            raise Unavailable("no process can be forked: Resource temporarily unavailable")
        self.orders.append(order)
        return 1_000 + len(self.orders)

    def signal(self, pid: int, number: int) -> None:
        self.signals.append((pid, number))
        if number == signal.SIGKILL or self.obey:
            asyncio.get_running_loop().call_soon(self.exited, pid, -number)


@dataclass
class House:
    """A keeper with one slot for long agents and one for suspects, and who hears of them."""

    keeper: Keeper
    processes: Processes
    boards: list[Board]
    owner: Owner
    bus: MemoryBus
    memory: dict[int, int]
    counted: list[TaskOutcome]
    work: asyncio.Task[None]

    async def started(self, count: int) -> None:
        await until(lambda: len(self.processes.orders) >= count)
        # The keeper takes the process id up in its next step.
        await asyncio.sleep(0)

    def hold(self, number: int, *, deadline: float | None = None) -> None:
        board = self.boards[0]
        board.hold(held(number))
        board.start(f"d{number}")
        if deadline is not None:
            board.limit(f"d{number}", deadline)

    def left(self) -> list[tuple[str, str, tuple[str, ...]]]:
        return [(one.worker_id, one.reason, one.handed_back) for one in self.owner.left]


def held(number: int) -> Held:
    origin = Origin(RESULTS, f"event-{number}", "c", None, f"w{number}", f"t{number}", 1)
    return Held(f"d{number}", f"e{number}", "coder", STREAM, f"{number}-0", origin)


@pytest.fixture
def memory() -> Iterator[int]:
    fd = os.memfd_create("boards")
    os.ftruncate(fd, 2 * board_bytes(PLACES))
    yield fd
    os.close(fd)


@asynccontextmanager
async def keeping(
    memory: int, processes: Processes | None = None, *, stop_seconds: float = 8.0, **limits: int
) -> AsyncIterator[House]:
    bus = MemoryBus(MemoryBroker())
    owner = await Owner.on(MemoryBus(bus.broker))
    reading = Reading(("coder",), (STREAM,), ())
    plans = [
        SlotPlan(lane, 1, reading, number * board_bytes(PLACES), PLACES)
        for number, lane in enumerate((Lane.LONG, Lane.SUSPECTS))
    ]
    made, used, counted = processes or Processes(), dict[int, int](), list[TaskOutcome]()
    settings = KeeperSettings(
        "k",
        "h",
        heartbeat_seconds=0.05,
        limits=Limits(**limits),
        read_logs=lambda: "the last words",
        count=lambda _role, outcome: counted.append(outcome),
        stop_seconds=stop_seconds,
    )
    keeper = Keeper(
        bus,
        made,
        [(plan, Board(memory, plan.board_at, PLACES)) for plan in plans],
        lambda pid: used.get(pid, 0),
        settings,
    )
    boards = [Board(memory, plan.board_at, PLACES) for plan in plans]
    work = asyncio.create_task(keeper.run())
    yield House(keeper, made, boards, owner, bus, used, counted, work)
    keeper.stop()
    await asyncio.wait([work], timeout=5)
    assert work.done()
    await owner.close()
    await owner.bus.close()
    await bus.close()


async def test_each_slot_has_a_process_whose_heartbeats_it_sends(memory: int) -> None:
    async with keeping(memory) as house:
        await house.started(2)
        house.hold(1)
        await until(lambda: any(one.executions for one in house.owner.heartbeats))
        beats = {one.worker_id: one for one in house.owner.heartbeats}
        assert sorted(beats) == ["k-1-1", "k-2-1"]
        assert {one.pid for one in beats.values()} == {1_001, 1_002}
        assert [one.dispatch_id for one in beats["k-1-1"].executions] == ["d1"]
        before = len(house.owner.heartbeats)
        await asyncio.sleep(0.3)
        assert len(house.owner.heartbeats) - before <= 2 * (0.3 / 0.05 + 2), "no more often than told"


async def test_no_heartbeat_is_sent_of_a_slot_without_a_process(memory: int) -> None:
    async with keeping(memory, Processes(refuse=2)) as house:
        await asyncio.sleep(2 * LOOK_SECONDS)
        assert all(one.pid for one in house.owner.heartbeats)


@pytest.mark.parametrize(
    ("status", "reason", "handed_back"),
    [(0, "stopped", ("d1",)), (EXIT_LEFT, "stopped", ("d1",)), (1, "died", ()), (-9, "died", ())],
)
async def test_how_a_process_ended_is_told_and_it_has_a_successor(
    memory: int, status: int, reason: str, handed_back: tuple[str, ...]
) -> None:
    async with keeping(memory) as house:
        await house.started(2)
        house.hold(1)
        house.processes.exited(1_001, status)
        await until(lambda: bool(house.owner.left))
        assert house.left() == [("k-1-1", reason, handed_back)]
        logs = [one.logs for one in house.owner.left]
        assert logs == (["the last words"] if reason == "died" else [None])
        await house.started(3)
        assert house.processes.orders[2].worker_id == "k-1-2"
        await until(lambda: house.boards[0].look() == ())


async def test_what_takes_too_long_is_ended_and_answered_for(memory: int) -> None:
    async with keeping(memory) as house:
        await house.started(2)
        house.hold(1, deadline=0.0)
        await until(lambda: (1_001, signal.SIGKILL) in house.processes.signals)
        await until(lambda: bool(house.counted))
        assert [one.error and one.error.code for one in house.counted] == ["timeout"]
        stored = await house.bus.entries(RESULTS)
        assert len(stored) == 1
        await house.started(3)


async def test_what_takes_too_much_memory_is_ended(memory: int) -> None:
    async with keeping(memory, memory_bytes=1_000) as house:
        await house.started(2)
        house.hold(1)
        house.memory[1_001] = 1_001
        await until(lambda: bool(house.counted))
        assert [one.error and one.error.code for one in house.counted] == ["memory_exceeded"]


async def test_a_mistake_of_the_user_ends_it(memory: int) -> None:
    async with keeping(memory) as house:
        await house.started(2)
        house.boards[0].fail(NotConfigured("set X"))
        house.processes.exited(1_001, 2)
        with pytest.raises(NotConfigured, match="set X"):
            await asyncio.wait_for(house.work, 5)


async def test_the_loss_of_all_processes_is_its_own_death(memory: int) -> None:
    async with keeping(memory) as house:
        await house.started(2)
        house.processes.lost()
        with pytest.raises(Unavailable, match="starts slot processes has ended"):
            await asyncio.wait_for(house.work, 5)
        assert house.left() == [("k", "died", ())]


async def test_a_stop_lets_all_leave_and_starts_none(memory: int) -> None:
    async with keeping(memory) as house:
        await house.started(2)
        house.keeper.stop()
        await asyncio.wait_for(house.work, 5)
        assert house.processes.signals == [(1_001, signal.SIGTERM), (1_002, signal.SIGTERM)]
        assert sorted(house.left()) == [("k-1-1", "stopped", ()), ("k-2-1", "stopped", ())]
        assert len(house.processes.orders) == 2


async def test_who_does_not_stop_is_killed(memory: int) -> None:
    async with keeping(memory, Processes(obey=False), stop_seconds=0.3) as house:
        await house.started(2)
        began = time.monotonic()
        house.keeper.stop()
        await asyncio.wait_for(house.work, 5)
        assert time.monotonic() - began >= 0.3
        assert house.processes.signals[2:] == [(1_001, signal.SIGKILL), (1_002, signal.SIGKILL)]
        assert {reason for _, reason, _ in house.left()} == {"stopped"}


async def test_it_leaves_soon_when_the_last_process_ends(memory: int) -> None:
    async with keeping(memory) as house:
        await house.started(2)
        house.keeper.stop()
        await asyncio.wait_for(house.work, 5)  # not the 8 s after which it would kill them

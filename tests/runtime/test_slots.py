"""What runs, what waits, and how it ends."""

from __future__ import annotations

import asyncio

from contracts.ports.bus import Delivery
from contracts.runtime.slots import InFlight, Slots


class Stage:
    """Executions that wait until they are let go on, and what is heard of them."""

    def __init__(self, limit: int = 2) -> None:
        self.limit = limit
        self.doors: dict[str, asyncio.Event] = {}
        self.finished: list[tuple[str, str | None]] = []
        self.removed = 0
        self.slots: Slots[str, str] = Slots(lambda: self.limit, self._execute, self._finish, self._count)

    def add(self, key: str, *, exclusive: bool = False, confirmed: bool = True) -> None:
        delivery = Delivery("s", f"{key}-0", b"")
        message = InFlight(key, f"message {key}", delivery, f"execution-{key}", exclusive)
        message.confirmed = confirmed
        self.slots.add(message)

    def end(self, key: str) -> None:
        self.doors[key].set()

    async def _execute(self, message: InFlight[str]) -> str:
        door = self.doors[message.key] = asyncio.Event()
        await door.wait()
        return f"result of {message.message}"

    def _finish(self, message: InFlight[str], result: str | None) -> None:
        self.finished.append((message.key, result))

    def _count(self, _message: InFlight[str]) -> None:
        self.removed += 1


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_beyond_the_limit_waits_in_order() -> None:
    stage = Stage()
    for key in "abcd":
        stage.add(key)
    await settle()
    assert (list(stage.doors), stage.slots.free, len(stage.slots)) == (["a", "b"], 0, 4)
    stage.end("a")
    await settle()
    assert list(stage.doors) == ["a", "b", "c"]
    assert (stage.finished, stage.removed) == ([("a", "result of message a")], 1)


async def test_what_waits_behind_an_exclusive_message_starts_when_that_is_cancelled() -> None:
    stage = Stage()
    stage.add("a")
    stage.add("alone", exclusive=True)
    stage.add("b")
    await settle()
    assert stage.slots.cancel("alone")
    await settle()
    assert (list(stage.doors), stage.finished) == (["a", "b"], [("alone", None)])


async def test_i7_an_exclusive_message_runs_alone() -> None:
    stage = Stage(limit=3)
    stage.add("a")
    stage.add("alone", exclusive=True)
    stage.add("b")
    await settle()
    assert (list(stage.doors), stage.slots.free) == (["a"], 0)
    stage.end("a")
    await settle()
    assert list(stage.doors) == ["a", "alone"]
    stage.end("alone")
    await settle()
    assert (list(stage.doors), stage.slots.free) == (["a", "alone", "b"], 2)


async def test_a_revoked_message_has_no_result() -> None:
    stage = Stage(limit=1)
    stage.add("runs")
    stage.add("waits")
    await settle()
    for key in ("runs", "waits"):
        delivery = stage.slots.revoke(key)
        assert delivery is not None
        assert delivery.entry_id == f"{key}-0"
    assert stage.slots.revoke("runs") is None
    await settle()
    assert (stage.finished, stage.removed, len(stage.slots)) == ([], 2, 0)


async def test_a_cancelled_message_is_finished_without_a_result_whether_it_had_started_or_not() -> None:
    stage = Stage(limit=2)
    stage.add("runs")
    await settle()
    stage.add("about to start")
    stage.add("waits")
    for key in ("runs", "about to start", "waits"):
        assert stage.slots.cancel(key)
    await settle()
    assert sorted(stage.finished) == [("about to start", None), ("runs", None), ("waits", None)]
    assert len(stage.slots) == 0
    assert not stage.slots.cancel("runs")


async def test_aborted_slots_end_what_runs_without_a_result() -> None:
    stage = Stage(limit=1)
    stage.add("runs")
    stage.add("waits")
    await settle()
    running = asyncio.all_tasks() - {asyncio.current_task()}
    stage.slots.abort()
    await asyncio.wait(running, timeout=5)
    assert all(task.done() for task in running)
    assert stage.finished == []
    assert list(stage.doors) == ["runs"]


async def test_drained_slots_start_nothing_and_name_what_is_unfinished() -> None:
    stage = Stage(limit=2)
    for key in "abc":
        stage.add(key)
    await settle()
    stage.end("a")
    assert await stage.slots.drain(0.05, 0.05) == ("b", "c")
    assert stage.finished == [("a", "result of message a")]
    assert list(stage.doors) == ["a", "b"]


async def test_a_limit_that_rises_is_used_when_started() -> None:
    stage = Stage(limit=0)
    stage.add("a")
    await settle()
    assert not stage.doors
    stage.limit = 1
    stage.slots.start()
    await settle()
    assert list(stage.doors) == ["a"]


async def test_what_is_not_confirmed_takes_a_slot_and_holds_up_nothing() -> None:
    stage = Stage(limit=2)
    stage.add("a", confirmed=False)
    stage.add("b")
    await settle()
    assert (list(stage.doors), stage.slots.free) == (["b"], 0)
    stage.slots.confirm("a")
    stage.slots.confirm("a")
    stage.slots.confirm("unknown")
    await settle()
    assert list(stage.doors) == ["b", "a"]
    stage.end("a")
    await settle()
    assert stage.finished == [("a", "result of message a")]


async def test_what_is_not_confirmed_can_be_revoked_and_cancelled() -> None:
    stage = Stage(limit=2)
    for key in "ab":
        stage.add(key, confirmed=False)
    assert stage.slots.revoke("a") is not None
    assert stage.slots.cancel("b")
    stage.slots.confirm("a")
    await settle()
    assert (list(stage.doors), stage.finished, len(stage.slots)) == ([], [("b", None)], 0)

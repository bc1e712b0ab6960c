"""The slots of a worker, the names of their processes, and when a successor starts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from agents import AgentResult, Task, agent
from agents.keeper.slot import Slot, SlotPlan, plan_slots
from agents.sdk.registry import AgentTable
from agents.worker.board import Board, board_bytes
from agents.worker.lanes import Lane, Reading
from contracts.base.model import Identifier


@agent(role="brief", short=True)
class Brief:
    async def run(self, task: Task) -> AgentResult:
        return AgentResult()


@agent(role="long", tags=("a", "b"))
class Long:
    async def run(self, task: Task) -> AgentResult:
        return AgentResult()


def plans(*agents: type, slots: int = 3) -> list[SlotPlan]:
    table = AgentTable.of(agents)
    reading: Callable[[Lane], Reading] = lambda lane: Reading.of(table, lane)  # noqa: E731
    return plan_slots(reading, slots, board_bytes)


def slot() -> Slot:
    [plan, _] = plans(Brief)
    fd = os.memfd_create("board")
    os.ftruncate(fd, board_bytes(plan.places))
    made = Slot(1, plan, Board(fd, 0, plan.places))
    os.close(fd)
    return made


def test_short_agents_share_one_process_and_others_have_one_each() -> None:
    found = plans(Brief, Long)
    lanes = [(plan.lane, plan.slots) for plan in found]
    assert lanes == [(Lane.SHORT, 3), *[(Lane.LONG, 1)] * 3, (Lane.SUSPECTS, 1)]
    assert found[0].reading.streams == ("agent.requests.brief",)
    assert len(found[1].reading.streams) == 3
    assert len(found[4].reading.all_streams) == 4
    ends = [plan.board_at + board_bytes(plan.places) for plan in found]
    assert [plan.board_at for plan in found] == [0, *ends[:-1]], "no two boards overlap"


@pytest.mark.parametrize(
    ("agents", "lanes"),
    [((Brief,), [Lane.SHORT, Lane.SUSPECTS]), ((Long,), [Lane.LONG] * 3 + [Lane.SUSPECTS]), ((), [])],
)
def test_nothing_is_kept_for_what_nobody_serves(agents: tuple[type, ...], lanes: list[Lane]) -> None:
    assert [plan.lane for plan in plans(*agents)] == lanes


@pytest.mark.parametrize("keeper_id", ["k", "x" * 80, "x" * 100])
def test_every_process_has_a_name_of_its_own_that_is_an_identifier(keeper_id: str) -> None:
    first, second = slot(), replace(slot(), number=2)
    names = [one.next_order(keeper_id).worker_id for one in (first, first, second)]
    assert len(set(names)) == 3
    for name in names:
        TypeAdapter(Identifier).validate_python(name)
    other = slot().next_order("x" * 99 + "y").worker_id
    assert other not in names


def test_after_quick_ends_in_a_row_a_successor_waits_longer_and_longer() -> None:
    made = slot()
    waits = []
    for _ in range(8):
        made.started_at = 100.0
        made.end(101.0, gladly=False)
        waits.append(made.start_at - 101.0)
    assert waits == [0.0, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]
    made.started_at = 100.0
    made.end(200.0, gladly=False)
    assert made.start_at == 200.0
    made.started_at = 200.0
    made.end(200.5, gladly=True)
    assert (made.start_at, made.quick_ends) == (200.5, 0)

"""One slot: a place for a process, and the processes that hold it one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agents.keeper.judgement import End
from agents.keeper.processes import SlotOrder
from agents.worker.board import Board, Held
from agents.worker.lanes import Lane, Reading
from contracts.messages.payloads import Execution, Heartbeat

QUICK_SECONDS: Final = 5.0
"""A process that ended sooner after its start than this makes its successor wait."""
_FIRST_WAIT: Final = 0.25
_MOST_WAIT: Final = 5.0
_LONGEST_KEEPER_ID: Final = 80


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """What the processes of a slot read, and where each shows what it holds."""

    lane: Lane
    slots: int
    """Executions at once."""
    reading: Reading
    board_at: int
    places: int


@dataclass(slots=True)
class Slot:
    """A slot and its present process."""

    number: int
    plan: SlotPlan
    board: Board
    generation: int = 0
    worker_id: str = ""
    pid: int | None = None
    """None while it waits for a process."""
    started_at: float = 0.0
    """Monotonic, as are all times here."""
    start_at: float = 0.0
    """When the next process may start."""
    quick_ends: int = 0
    """How many processes in a row ended early."""
    ending: End | None = None
    """Why the process was killed."""
    held: tuple[Held, ...] = field(default=())
    """As last seen."""

    def next_order(self, keeper_id: str) -> SlotOrder:
        """The order for the next process, with a name that no process had."""
        self.generation += 1
        self.worker_id = f"{_shortened(keeper_id)}-{self.number}-{self.generation}"
        plan = self.plan
        return SlotOrder(self.worker_id, keeper_id, plan.lane, plan.slots, plan.board_at, plan.places)

    def end(self, now: float, *, gladly: bool) -> None:
        """Its process has ended. `gladly`: another may follow at once however soon that was."""
        quick = now - self.started_at < QUICK_SECONDS and not gladly
        self.quick_ends = self.quick_ends + 1 if quick else 0
        wait = min(_MOST_WAIT, _FIRST_WAIT * 2**self.quick_ends) if self.quick_ends > 1 else 0.0
        self.pid, self.ending, self.start_at = None, None, now + wait

    def heartbeat(self, keeper_id: str, host: str, sequence: int) -> Heartbeat:
        """A sign of life on behalf of its process."""
        return Heartbeat(
            worker_id=self.worker_id,
            host=host,
            pid=self.pid or 0,
            roles=self.plan.reading.roles,
            streams=self.plan.reading.all_streams,
            slots=self.plan.slots,
            sequence=sequence,
            executions=tuple(map(_execution, self.held)),
            keeper_id=keeper_id,
        )


def _execution(held: Held) -> Execution:
    return Execution(
        dispatch_id=held.dispatch_id,
        execution_id=held.execution_id,
        started=held.started is not None,
        workflow_id=held.origin.workflow_id,
    )


def _shortened(keeper_id: str) -> str:
    """A part of the name that leaves room for two numbers in an identifier."""
    if len(keeper_id) <= _LONGEST_KEEPER_ID:
        return keeper_id
    digest = hashlib.sha256(keeper_id.encode()).hexdigest()[:8]
    return f"{keeper_id[: _LONGEST_KEEPER_ID - 9]}-{digest}"


def plan_slots(
    reading: Callable[[Lane], Reading], slots: int, bytes_of: Callable[[int], int]
) -> list[SlotPlan]:
    """The slots of a worker: one process for all short agents, `slots` for others, one for suspects.

    bytes_of: the size of a board with so many places.
    """
    lanes = [(Lane.SHORT, slots), *[(Lane.LONG, 1)] * slots, (Lane.SUSPECTS, 1)]
    plans: list[SlotPlan] = []
    at = 0
    for lane, count in lanes:
        found = reading(lane)
        if not found.streams:
            continue
        # A read takes up to `count` messages of each stream.
        places = count * len(found.streams) + count + 8
        plans.append(SlotPlan(lane, count, found, at, places))
        at += bytes_of(places)
    return plans

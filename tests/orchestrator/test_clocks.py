"""Clocks may jump: leases and retries run on the monotonic clock (I8)."""

from __future__ import annotations

import itertools

from contracts.messages.payloads import Execution, Heartbeat
from orchestrator.core.events import Finished
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from tests.orchestrator.plans import failed, item, plan

LEASE = 6.0
HOUR = 3600.0


def beat(number: int, *held: str, started: bool = True) -> Heartbeat:
    executions = tuple(
        Execution(dispatch_id=name, execution_id=f"e-{name}", started=started) for name in held
    )
    return Heartbeat(
        worker_id="w",
        host="h",
        pid=1,
        roles=("coder",),
        streams=(),
        slots=1,
        sequence=number,
        executions=executions,
    )


def listened(leases: Leases, start: float, end: float) -> None:
    """The owner hears all there is, a few times a second, from start to end."""
    for step in range(int((end - start) * 4) + 1):
        leases.mark_caught_up(start + step / 4)


def test_silence_for_a_lease_is_noticed() -> None:
    leases = Leases(LEASE)
    leases.renew(beat(1, "d"), 0.0)
    listened(leases, 0.0, LEASE)
    assert leases.expired(LEASE) == []
    assert leases.expired(LEASE + 0.1) == ["w"]
    assert leases.remove("w", LEASE + 0.1)[1] == ["d"]


def test_an_owner_that_was_stopped_renews_every_lease() -> None:
    leases = Leases(LEASE)
    leases.renew(beat(1), 0.0)
    listened(leases, 0.0, 1.0)
    leases.mark_caught_up(1.0 + HOUR)
    assert leases.expired(1.0 + HOUR + LEASE - 0.1) == []
    listened(leases, 1.0 + HOUR, 1.0 + HOUR + LEASE)
    assert leases.expired(1.0 + HOUR + LEASE + 0.1) == ["w"]


def test_while_the_bus_is_away_nobody_dies() -> None:
    leases = Leases(LEASE)
    leases.renew(beat(1), 0.0)
    for second in range(1, 60):
        leases.suspend()
        leases.mark_caught_up(float(second))
    assert leases.expired(60.0) == []


def test_what_a_heartbeat_lists_no_more_is_held_no_more() -> None:
    leases = Leases(LEASE)
    leases.renew(beat(1, "d1", "d2"), 0.0)
    leases.renew(beat(2, "d2", started=False), 1.0)
    assert (leases.holdings.is_held("d1"), leases.holdings.is_held("d2")) == (False, True)


def retrying(wall: float, later_wall: float) -> list[float]:
    """Seconds on the monotonic clock after which a failed task goes again, when the wall clock jumps."""
    numbers = itertools.count()
    engine = Engine(lambda: f"d{next(numbers)}", 10)
    engine.submit(Workflow.start("w", plan(item("a")), shard=0, now=wall), wall, 0.0)
    engine.dispatch_ready(wall, 0.0)
    engine.apply("w", Finished("a", failed("d0")), wall, 10.0)
    found = []
    for tenth in range(100):
        engine.dispatch_ready(later_wall, 10.0 + tenth / 10)
        if engine.workflows["w"].tasks["a"].status is TaskStatus.DISPATCHED:
            found.append(tenth / 10)
            break
    return found


def test_a_jump_of_the_wall_clock_neither_hurries_nor_delays_a_retry() -> None:
    steady = retrying(1e9, 1e9)
    assert steady == [1.0]
    assert retrying(1e9, 1e9 - HOUR) == steady
    assert retrying(1e9, 1e9 + HOUR) == steady

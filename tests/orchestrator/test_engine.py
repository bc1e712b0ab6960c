"""The owner's memory: what it hands out, and when it wants to be called again."""

from __future__ import annotations

from itertools import count

from orchestrator.engine import Engine
from orchestrator.state import Workflow
from tests.orchestrator.plans import item, plan


def filled(tasks: int, window: int) -> Engine:
    numbers = count()
    engine = Engine(lambda: f"d{next(numbers)}", window)
    wide = plan(*(item(f"t{number}") for number in range(tasks)))
    engine.submit(Workflow.start("w", wide, shard=0, now=0.0), 0.0, 0.0)
    engine.fill(0.0, 0.0)
    return engine


def test_the_first_tasks_of_many_do_not_wait_for_the_last() -> None:
    engine = filled(600, window=1_000)
    assert len(engine.flush(0.0)[1].dispatches) == 256
    assert engine.next_timer() == 0.0
    engine.fill(1.0, 1.0)
    engine.fill(2.0, 2.0)
    assert len(engine.flush(0.0)[1].dispatches) == 344
    assert engine.next_timer() is None


def test_i9_a_full_window_asks_for_no_more_calls() -> None:
    engine = filled(600, window=10)
    assert len(engine.out) == 10
    assert engine.next_timer() is None

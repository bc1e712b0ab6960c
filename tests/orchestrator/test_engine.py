"""The owner's memory: what it hands out, and when it wants to be called again."""

from __future__ import annotations

from itertools import count

import pytest

from orchestrator.core.events import Finished
from orchestrator.core.state import Workflow, WorkflowStatus
from orchestrator.scheduling.engine import Engine
from tests.orchestrator.plans import item, outcome, plan


def filled(tasks: int, window: int) -> Engine:
    numbers = count()
    engine = Engine(lambda: f"d{next(numbers)}", window)
    wide = plan(*(item(f"t{number}") for number in range(tasks)))
    engine.submit(Workflow.start("w", wide, shard=0, now=0.0), 0.0, 0.0)
    engine.dispatch_ready(0.0, 0.0)
    return engine


def test_the_first_tasks_of_many_do_not_wait_for_the_last() -> None:
    engine = filled(600, window=1_000)
    sizes = []
    for now in (1.0, 2.0, 3.0, 4.0):
        sizes.append(len(engine.flush(0.0)[1].dispatches))
        last = engine.next_timer()
        engine.dispatch_ready(now, now)
    assert sizes == [64, 256, 256, 24]
    assert last is None


def test_i9_a_full_window_asks_for_no_more_calls() -> None:
    engine = filled(600, window=10)
    assert len(engine.in_flight) == 10
    assert engine.next_timer() is None


def test_what_two_workflows_add_in_one_batch_follows_their_own_tasks() -> None:
    """The position of a task is that in its own workflow."""
    numbers = count()
    engine = Engine(lambda: f"d{next(numbers)}", window=10)
    for name in ("v", "w"):
        todo = plan(item("code", output_artifacts=("src/",)), item("test", "code", role="tester"))
        engine.submit(Workflow.start(name, todo, shard=0, now=0.0), 0.0, 0.0)
    for task, more in (("code", {"commit": "c" * 40}), ("test", {"verdict": "failed", "summary": "red"})):
        engine.dispatch_ready(0.0, 0.0)
        batch, _ = engine.flush(0.0)
        for name in ("v", "w"):
            dispatch = engine.workflows[name].tasks[task].dispatch_id
            assert dispatch is not None
            engine.apply(name, Finished(task, outcome(dispatch, **more)), 0.0, 0.0)
    batch, _ = engine.flush(0.0)
    added = {f"{name}/{task}": at for (name, task), at in batch.added.items()}
    assert added == {"v/test.fix1": 2, "v/test.retest1": 3, "w/test.fix1": 2, "w/test.retest1": 3}


@pytest.mark.parametrize(
    ("status", "merges"), [(WorkflowStatus.RUNNING, []), (WorkflowStatus.MERGING, ["w"])]
)
def test_only_what_was_being_merged_is_merged_after_a_restart(
    status: WorkflowStatus, merges: list[str]
) -> None:
    workflow = Workflow.start("w", plan(item("a")), shard=0, now=0.0)
    stored = Workflow.load(workflow.header._replace(status=status), workflow.tasks.values())
    engine = Engine(lambda: "d1", window=1)
    engine.adopt(stored, 0.0)
    assert list(engine.flush(0.0)[1].merges) == merges


def test_what_is_refused_changes_nothing_and_tells_nobody() -> None:
    engine = filled(1, window=1)
    engine.flush(0.0)
    assert engine.apply("w", Finished("t0", outcome("another")), 0.0, 0.0).refused is not None
    batch, effects = engine.flush(0.0)
    assert (batch.tasks, batch.headers, dict(effects.changed)) == ({}, {}, {})

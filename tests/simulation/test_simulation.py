"""Schedules with faults at every step keep the invariants (I1 to I4, I6, I7, I9), and mutants do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

import tests.simulation.plans
import tests.simulation.world
from orchestrator.service.publisher import Publisher
from tests.simulation import cut_reads, model_git, unreadable
from tests.simulation.__main__ import explain
from tests.simulation.editing import edited
from tests.simulation.mutants import MUTANTS
from tests.simulation.plans import submission
from tests.simulation.running import play
from tests.simulation.shrinking import shrunk
from tests.simulation.wiring import replaced

SCHEDULES = 1_000
MOST_SCHEDULES_FOR_A_MUTANT = 3_000
REGRESSIONS = [
    line.split()[0]
    for line in Path(__file__).with_name("regressions.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def test_no_schedule_breaks_an_invariant() -> None:
    summary = play(range(SCHEDULES))
    assert summary.failures == ()
    assert summary.stale > SCHEDULES / 10, "hardly anything stale was tried"
    assert min(summary.plans, summary.looks) > SCHEDULES / 100, "hardly anything was asked for"


@contextmanager
def first_edition() -> Iterator[None]:
    """The faults, their length and the sizes of plans with which the oldest regressions were found."""
    steps = (tests.simulation.world, "faulty_steps", lambda _: 60)
    sizes = (tests.simulation.plans, "SIZES", (1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8))
    later: list[tuple[Any, str, Any]] = [(room, "LIKELY", 0.0) for room in (cut_reads, model_git, unreadable)]
    submission.cache_clear()
    with replaced([steps, sizes, *later]):
        yield
    submission.cache_clear()


def test_questions_are_answered_amid_faults() -> None:
    with replaced([(tests.simulation.world, "faulty_steps", lambda _: 200)]):
        summary = play(range(150))
    assert summary.failures == ()
    assert summary.answers > 0, "nothing was asked"


def test_budgets_hold_amid_faults() -> None:
    submission.cache_clear()
    with replaced([(tests.simulation.plans, "BUDGETED", 1)]):
        summary = play(range(300))
    submission.cache_clear()
    assert summary.failures == ()
    assert summary.refused > 100, "hardly any budget was spent"


@pytest.mark.parametrize("seed", REGRESSIONS)
def test_what_failed_once_holds(seed: str) -> None:
    edition, _, number = seed.rpartition(":")
    with first_edition() if edition == "first" else nullcontext():
        assert play([int(number)]).failures == ()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_missing_protection_is_noticed(name: str) -> None:
    with replaced(MUTANTS[name]):
        summaries = (play([seed]) for seed in range(MOST_SCHEDULES_FOR_A_MUTANT))
        found = next((one.failures[0] for one in summaries if one.failures), None)
    assert found is not None
    assert not found.crashed, found.invariant


def test_a_failing_seed_is_explained_briefly(capsys: pytest.CaptureFixture[str]) -> None:
    with replaced(MUTANTS["publish before commit"]):
        seed = next(seed for seed in range(1_000) if play([seed]).failures)
        assert explain(seed) is not None
    told = capsys.readouterr().out
    assert f"replay:   python -m tests.simulation --seed {seed}" in told
    assert len(told.splitlines()) < 70


def test_shrinking_keeps_only_what_is_needed() -> None:
    assert shrunk([3, 1, 4, 1, 5, 9, 2, 6], lambda choices: 5 in choices) == [5]


def test_shrinking_keeps_the_zeros_at_the_end_of_a_schedule_that_needs_its_length() -> None:
    assert shrunk([2, 0, 0, 0], lambda choices: len(choices) > 2) == [0, 0, 0]


def test_a_line_that_is_gone_cannot_be_switched_off() -> None:
    with pytest.raises(LookupError, match="holds 'no such line' 0 times"):
        edited(Publisher, "publish", "no such line", "pass")

"""What is said to do about a reason is a command."""

from __future__ import annotations

from orchestrator.diagnosis.explain import Observations, explain
from orchestrator.diagnosis.remedies import with_remedies
from tests.orchestrator.plans import WORKFLOW, Play, item, plan


def remedies(play: Play, around: Observations, *, workers_can_join: bool = True) -> dict[str | None, str]:
    """What to do, by task."""
    found = explain(play.workflow, around)
    told = with_remedies(WORKFLOW, play.workflow, found, workers_can_join=workers_can_join)
    return {one.task_id: one.do for one in told}


def test_what_waits_for_a_person_says_how_to_decide() -> None:
    play = Play(plan(item("a", requires_approval=True)))
    assert remedies(play, Observations(now=100.0)) == {"a": f"multi-agent approve {WORKFLOW} a"}


def test_a_role_without_a_worker_says_how_to_start_one_where_it_finds_the_bus() -> None:
    play = Play(plan(item("a")))
    around = Observations(now=100.0, orchestrator_alive=True)
    assert remedies(play, around)["a"].startswith("multi-agent worker --role ")
    assert remedies(play, around, workers_can_join=False) == {"a": ""}


def test_where_nobody_serves_that_is_what_to_mend() -> None:
    play = Play(plan(item("a")))
    around = Observations(now=100.0, orchestrator_alive=False)
    assert remedies(play, around) == {None: "multi-agent up", "a": ""}

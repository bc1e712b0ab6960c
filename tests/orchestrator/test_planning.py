"""A plan that an agent asks for: once a workflow, in the same workflow, and nothing is lost or done twice."""

from __future__ import annotations

import pytest

from contracts.base.paths import EVERYWHERE
from contracts.documents.todo_list import TodoList
from contracts.messages.journal import TaskNeedsPlan, TaskPlanned
from contracts.messages.payloads import PlanWanted, Usage
from orchestrator.core.decision import Decision
from orchestrator.core.events import Finished, Merged
from planner_service import single_plan
from tests.orchestrator.plans import Play, item, outcome, plan

WANTED = PlanWanted(reason="three parts", found="a, b and c")
PLANNED = plan(
    item("a"),
    item("b"),
    item("Check", "a", "b", role="tester", output_artifacts=("tests/",)),
    item("docs", output_artifacts=("README.md",), requires_approval=True),
)


def _asked() -> tuple[Play, Decision]:
    play = Play(single_plan("build it"))
    return play, play.succeed("change", plan_wanted=WANTED, usage=Usage(model_calls=3))


def _planned(made: TodoList = PLANNED) -> tuple[Play, Decision]:
    play, _ = _asked()
    return play, play.succeed("change.plan", plan=made)


def test_a_planner_is_asked_with_what_was_found_and_the_check_waits_for_it() -> None:
    play, decision = _asked()
    assert play.statuses == {"change": "succeeded", "check": "waiting", "change.plan": "ready"}
    assert decision.journal[-1] == TaskNeedsPlan("change", "three parts", ("change.plan",))
    planner = play.workflow.tasks["change.plan"]
    assert (planner.item.agent_role, planner.dependencies) == ("planner", ("change",))
    assert planner.item.description == "three parts\n\na, b and c"
    assert play.workflow.tasks["check"].dependencies == ("change.plan",)
    assert play.workflow.tasks["change"].usage.model_calls == 3


def test_its_tasks_are_added_under_names_of_their_own_and_the_check_comes_last() -> None:
    play, decision = _planned()
    added = ("a", "b", "Check-2", "docs")
    assert decision.journal[-1] == TaskPlanned("change.plan", added)
    assert [play.status(name) for name in added] == ["ready", "ready", "waiting", "waiting_approval"]
    assert play.workflow.tasks["a"].dependencies == ("change.plan",)
    assert play.workflow.tasks["Check-2"].dependencies == ("a", "b")
    assert play.workflow.tasks["check"].dependencies == ("Check-2", "docs")


def test_the_workflow_ends_when_all_of_it_is_done() -> None:
    play, _ = _planned(plan(item("a"), item("b", "a")))
    for name in ("a", "b"):
        play.succeed(name)
        assert play.workflow.header.status == "running"
    play.succeed("check", verdict="passed")
    play.give(Merged("f" * 40))
    assert play.workflow.header.status == "completed"


def test_an_outcome_that_comes_again_changes_nothing() -> None:
    play, _ = _asked()
    again = play.give(Finished("change", outcome(play.dispatched[0], plan_wanted=WANTED)))
    assert again.refused == "task is succeeded"
    sent = play.dispatch("change.plan")
    play.give(Finished("change.plan", outcome(sent, plan=PLANNED)))
    assert play.give(Finished("change.plan", outcome(sent, plan=PLANNED))).refused
    assert len(play.workflow.tasks) == 7


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (plan(item("a", "b"), item("b", "a")), "tasks wait for each other"),
        (plan(item("a", role="planner")), "a would plan again"),
        (plan(item("a", output_artifacts=(EVERYWHERE,))), "name the files and folders of its part"),
        (plan(item("a", "nobody")), "no task has the id"),
    ],
)
def test_a_plan_that_cannot_be_followed_fails_the_attempt_with_its_reason(made: TodoList, why: str) -> None:
    play, _ = _planned(made)
    planner = play.workflow.tasks["change.plan"]
    assert (play.status("change.plan"), planner.failures, planner.commit) == ("ready", 1, None)
    assert planner.error is not None
    assert planner.error.code == "plan_refused"
    assert why in planner.error.message


def test_only_who_has_the_whole_request_asks_and_only_once() -> None:
    everything = (EVERYWHERE,)
    whole = item("all", output_artifacts=everything)
    play = Play(plan(item("a"), whole, item("again", "all", output_artifacts=everything)))
    play.succeed("a", plan_wanted=WANTED)
    assert play.status("a") == "ready"
    assert "only an agent that was given the whole request" in str(play.workflow.tasks["a"].error)
    play.succeed("all", plan_wanted=WANTED)
    play.succeed("all.plan", plan=plan(item("part")))
    play.succeed("part")
    play.succeed("again", plan_wanted=WANTED)
    assert "a workflow is planned once" in str(play.workflow.tasks["again"].error)


def test_only_a_planner_plans() -> None:
    play = Play(plan(item("a")))
    play.succeed("a", plan=PLANNED)
    assert "only a planner plans" in str(play.workflow.tasks["a"].error)

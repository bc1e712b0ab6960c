"""A test that is called wrong is looked at once more, so that it neither ends right work nor bends it."""

from __future__ import annotations

import pytest

from contracts.documents.failure import TestFailure
from contracts.documents.todo_list import TodoItem
from contracts.messages.journal import TaskContested
from contracts.messages.payloads import Contested
from orchestrator.core.approvals.actions import action_hash
from orchestrator.core.decision import Decision
from orchestrator.core.events import Approve, Finished, Reject
from orchestrator.core.state import Workflow
from tests.orchestrator.plans import Play, commit_of, item, outcome, plan, red_tests, refused_review

WRONG = "tests/test_a.py::test_hands[two pairs]"


def _fixing(cycles: int = 2) -> Play:
    """The tests failed, and a fix is to be made."""
    play = Play(
        plan(
            item("code", description="compare hands"),
            item("test", "code", role="tester", output_artifacts=("tests/",), max_cycles=cycles),
            item("review", "test", role="reviewer", output_artifacts=()),
        )
    )
    play.succeed("code")
    _fail(play, "test")
    return play


def _fail(play: Play, name: str) -> Decision:
    failure = TestFailure(kind="failed", test=WRONG, error="assert 1 == 2")
    return play.give(Finished(name, red_tests(play.dispatch(name), failure)))


def _contest(play: Play, name: str, *tests: str, **more: bool) -> Decision:
    contested = Contested(tests=tests or (WRONG,), reason="hands are swapped", **more)
    return play.succeed(name, contested=contested, summary=f"contests {', '.join(tests or (WRONG,))}")


def test_a_tester_looks_at_it_before_the_tests_run_again() -> None:
    play = _fixing()
    decision = _contest(play, "test.fix1")
    assert decision.journal[-1] == TaskContested("test.fix1", "hands are swapped", ("test.amend1",))
    amend, again = play.workflow.tasks["test.amend1"], play.workflow.tasks["test.retest1"]
    assert (amend.status, amend.item.agent_role, amend.cycle) == ("ready", "tester", 1)
    assert amend.item.output_artifacts == ("tests/test_a.py",)
    assert (amend.dependencies, again.dependencies) == (("test.fix1",), ("test.amend1",))
    assert "1 of 2" in amend.item.title
    [test] = amend.item.acceptance_criteria.tests
    judged = play.workflow.tasks["test"].item.timeout_seconds
    assert amend.item.timeout_seconds >= judged + 4 * test.timeout_seconds
    play.succeed("test.amend1", summary="they were swapped")
    play.succeed("test.retest1", verdict="passed")
    play.succeed("review", verdict="passed")
    assert play.workflow.header.status == "merging"


def test_a_test_is_contested_once_and_both_reasons_end_it() -> None:
    play = _fixing()
    _contest(play, "test.fix1")
    play.succeed("test.amend1", summary="the tests stay: the request says so")
    _fail(play, "test.retest1")
    _contest(play, "test.fix2")
    assert play.workflow.header.status == "failed"
    error = play.workflow.tasks["test.fix2"].error
    assert error is not None
    assert error.code == "disputed"
    assert f"contests {WRONG}" in error.message
    assert "the tests stay: the request says so" in error.message


def test_a_contested_test_that_fails_to_the_end_is_a_dispute_too() -> None:
    play = _fixing(cycles=1)
    _contest(play, "test.fix1")
    play.succeed("test.amend1", summary="the tests stay: the request says so")
    _fail(play, "test.retest1")
    error = play.workflow.tasks["test.retest1"].error
    assert error is not None
    assert error.code == "disputed"
    assert "test.amend1: the tests stay: the request says so" in error.message


def test_twice_a_workflow() -> None:
    play = _fixing(cycles=9)
    for number in (1, 2):
        _contest(play, f"test.fix{number}", f"tests/test_{number}.py::test_it")
        play.succeed(f"test.amend{number}")
        _fail(play, f"test.retest{number}")
    _contest(play, "test.fix3", "tests/test_3.py::test_it")
    assert "disputed" in play.workflow.header.reason


def test_a_test_of_the_repository_is_changed_only_when_a_person_approves() -> None:
    play = _fixing()
    _contest(play, "test.fix1", of_repository=True)
    amend = play.workflow.tasks["test.amend1"]
    assert amend.status == "waiting_approval"
    wanted = action_hash(play.workflow, amend)
    other = Play(plan(item("a")))
    other.workflow = Workflow.load(play.workflow.header, play.workflow.tasks.values())
    play.give(Approve("test.amend1", wanted, "me"))
    assert play.status("test.amend1") == "ready"
    other.give(Reject("test.amend1", "me", "it is right"))
    assert "rejected by me: it is right" in other.workflow.header.reason


def test_an_outcome_that_comes_again_adds_nothing() -> None:
    play = _fixing()
    _contest(play, "test.fix1")
    count = len(play.workflow.tasks)
    contested = Contested(tests=(WRONG,), reason="again")
    again = play.give(Finished("test.fix1", outcome(play.dispatched[-1], contested=contested)))
    assert again.refused == "task is succeeded"
    assert len(play.workflow.tasks) == count


def _in_repository(*items: TodoItem) -> Play:
    play = Play(plan(*items))
    play.workflow.header = play.workflow.header._replace(base_commit="b" * 40)
    return play


def test_what_a_coder_contests_runs_again_before_anything_else_goes_on() -> None:
    play = _in_repository(item("code", output_artifacts=("src/",)), item("next", "code"))
    _contest(play, "code")
    amend, again, after = (play.workflow.tasks[name] for name in ("code.amend1", "code.amended1", "next"))
    assert (amend.dependencies, again.dependencies, after.dependencies) == (
        ("code",),
        ("code.amend1",),
        ("code.amended1",),
    )
    assert again.item.acceptance_criteria == amend.item.acceptance_criteria
    assert (again.item.agent_role, again.item.output_artifacts, again.cycle) == ("tester", (), 1)
    assert play.workflow.tasks["code"].commit is not None, "its work is kept"
    play.succeed("code.amend1", summary="the tests stay: the request says so")
    _fail(play, "code.amended1")
    fix = play.workflow.tasks["code.amended1.fix2"]
    assert (fix.item.output_artifacts, fix.item.agent_role) == (("src/",), "debugger")
    _contest(play, "code.amended1.fix2")
    assert "the tests stay: the request says so" in play.workflow.header.reason


def test_a_coders_contest_may_be_the_last_of_a_plan() -> None:
    play = _in_repository(item("code"))
    _contest(play, "code", of_repository=True)
    assert play.workflow.tasks["code.amend1"].status == "waiting_approval"
    wanted = action_hash(play.workflow, play.workflow.tasks["code.amend1"])
    play.give(Approve("code.amend1", wanted, "me"))
    play.succeed("code.amend1", summary="it was the old name")
    play.succeed("code.amended1", verdict="passed")
    assert play.workflow.header.status == "merging"


def test_only_who_fixes_what_tests_found_contests() -> None:
    play = Play(plan(item("code"), item("review", "code", role="reviewer", output_artifacts=())))
    _contest(play, "code")
    assert_refused(play, "code", "only a coder in a repository")
    play = Play(plan(item("code"), item("review", "code", role="reviewer", output_artifacts=())))
    play.succeed("code")
    play.give(Finished("review", refused_review(play.dispatch("review"))))
    _contest(play, "review.fix1")
    assert_refused(play, "review.fix1", "a fix of what tests found, contests tests")


@pytest.mark.parametrize(
    "test", [f"{WRONG}{chr(39) * 200}", "../tests/test_a.py::test_x", "a.py::double", "test_a"]
)
def test_what_is_no_test_that_can_be_run_is_refused_where_it_is_decided(test: str) -> None:
    play = _fixing()
    _contest(play, "test.fix1", test)
    assert_refused(play, "test.fix1", "is no id of a test that can be run alone")


def assert_refused(play: Play, name: str, why: str) -> None:
    """The attempt failed, and another one follows."""
    task = play.workflow.tasks[name]
    assert (play.workflow.header.status, task.status, task.failures, task.commit) == (
        "running",
        "ready",
        1,
        None,
    )
    assert task.error is not None
    assert task.error.code == "contest_refused"
    assert why in task.error.message


def test_a_review_that_is_sent_back_repeats_the_tests_and_not_the_look_at_them() -> None:
    play = _fixing()
    _contest(play, "test.fix1")
    play.succeed("test.amend1")
    play.succeed("test.retest1", verdict="passed")
    play.give(Finished("review", refused_review(play.dispatch("review"))))
    assert [name for name in play.workflow.tasks if "amend" in name] == ["test.amend1"]


def test_a_fix_in_a_repository_is_told_the_assignment_and_what_was_tried() -> None:
    play = Play(plan(item("code", description="compare hands"), item("test", "code", role="tester")))
    play.workflow.header = play.workflow.header._replace(base_commit="b" * 40)
    play.succeed("code")
    _fail(play, "test")
    first = play.workflow.tasks["test.fix1"].item
    assert first.title == "Fix what test found (cycle 1 of 2)"
    assert "compare hands" in first.description
    play.succeed("test.fix1", summary="swapped the comparison", commit=commit_of("x"))
    _fail(play, "test.retest1")
    second = play.workflow.tasks["test.fix2"].item
    assert second.title == "Fix what test found (cycle 2 of 2)"
    assert "test.fix1: swapped the comparison" in second.description
    assert second.description.index("test.fix1: ") < second.description.index("test.retest1: 1 failed")

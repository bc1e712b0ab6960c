"""`retry --fresh`: what said "failed" gets another fix, where a plain retry repeats the same test."""

from __future__ import annotations

from contracts.messages.journal import TaskSucceeded, TaskToBeFixed, WorkflowRetried
from orchestrator.core.commands import RetryBody, body_text
from orchestrator.core.events import Finished, Retry
from tests.orchestrator.plans import Play, commit_of, failed, item, outcome, plan, red_tests


def red(*more: str) -> Play:
    """Code whose only debug cycle did not help, and a review of it that never began."""
    play = Play(
        plan(
            item("code"),
            item("tests", "code", role="tester", max_cycles=1, output_artifacts=("test_code.py",)),
            item("docs", "tests", output_artifacts=("docs.md",)),
            *(item(name) for name in more),
        )
    )
    play.succeed("code")
    for test in ("tests", "tests.retest1"):
        name = play.dispatch(test)
        red = red_tests(name).model_copy(update={"commit": commit_of(test)})
        play.give(Finished(test, red))
        if test == "tests":
            play.succeed("tests.fix1")
    return play


def test_another_fix_is_asked_for_and_tested() -> None:
    play = red()
    assert play.workflow.header.status == "failed"
    decision = play.give(Retry(None, "me", fresh=True))
    assert play.statuses == {
        "code": "succeeded",
        "tests": "succeeded",
        "docs": "waiting",
        "tests.fix1": "succeeded",
        "tests.retest1": "succeeded",
        "tests.fix2": "ready",
        "tests.retest2": "waiting",
    }
    assert play.workflow.tasks["docs"].dependencies == ("tests.retest2",)
    assert (play.workflow.header.status, play.workflow.header.open_tasks) == ("running", 3)
    assert [type(entry) for entry in decision.journal] == [WorkflowRetried, TaskSucceeded, TaskToBeFixed]
    assert decision.journal[0] == WorkflowRetried(None, "me", 3)
    for name in ("tests.fix2", "tests.retest2", "docs"):
        play.succeed(name)
    assert play.workflow.header.status == "merging"


def test_again_and_again() -> None:
    play = red()
    for cycle in (2, 3):
        play.give(Retry("tests.retest1" if cycle == 2 else None, "me", fresh=True))
        play.succeed(f"tests.fix{cycle}")
        name = play.dispatch(f"tests.retest{cycle}")
        play.give(Finished(f"tests.retest{cycle}", red_tests(name)))
        assert play.workflow.header.status == "failed"
    assert play.give(Retry(None, "me")).refused is None
    assert play.status("tests.retest3") == "ready"


def test_what_failed_in_another_way_is_repeated() -> None:
    play = red("other")
    name = play.dispatch("other")
    play.give(Finished("other", failed(name, retryable=False)))
    play.give(Retry(None, "me", fresh=True))
    assert (play.status("other"), play.status("tests.fix2")) == ("ready", "ready")
    assert play.workflow.header.open_tasks == 4


def test_without_code_to_fix_the_test_is_repeated() -> None:
    play = Play(plan(item("tests", role="tester", output_artifacts=("test_it.py",))))
    name = play.dispatch("tests")
    play.give(Finished("tests", outcome(name, verdict="failed", summary="1 failed")))
    play.give(Retry(None, "me", fresh=True))
    assert play.statuses == {"tests": "ready"}


def test_a_plain_retry_is_stored_as_the_first_release_stored_it() -> None:
    assert body_text(RetryBody(person="me")) == '{"person":"me"}'

"""The pure core: every input, and the invariants it guards."""

from __future__ import annotations

import pytest

from contracts.documents.failure import TestFailure
from contracts.documents.reports import ReviewFinding
from contracts.messages.journal import TaskDelayed, TaskToBeFixed, WorkflowCompleted
from contracts.messages.payloads import ReviewSummary
from orchestrator.core.approvals.actions import action_hash
from orchestrator.core.attempts import BACKOFF_MOST_SECONDS, MAX_CRASHES, backoff_seconds
from orchestrator.core.events import (
    Approve,
    Cancel,
    Dispatch,
    Finished,
    Lost,
    Merged,
    MergeFailed,
    Overdue,
    Reject,
    Retry,
    Started,
)
from orchestrator.scheduling.messages import request_stream
from tests.orchestrator.plans import (
    Play,
    commit_of,
    failed,
    item,
    outcome,
    plan,
    red_tests,
    refused_review,
)


def diamond() -> Play:
    return Play(plan(item("a"), item("b", "a"), item("c", "a"), item("d", "b", "c")))


def test_only_tasks_without_open_dependencies_start() -> None:  # I6
    play = diamond()
    assert play.statuses == {"a": "ready", "b": "waiting", "c": "waiting", "d": "waiting"}
    play.succeed("a")
    assert play.statuses == {"a": "succeeded", "b": "ready", "c": "ready", "d": "waiting"}
    play.succeed("b")
    assert play.status("d") == "waiting"
    play.succeed("c")
    assert play.status("d") == "ready"


def test_a_start_leaves_the_row_of_its_workflow_alone() -> None:
    """It ends no task, so one row less is written."""
    play = Play(plan(item("a"), item("b", "a")), start=False)
    decision = play.give(Started())
    assert [task.status for task in decision.tasks] == ["ready"]
    assert decision.header is None


def test_a_waiting_task_cannot_be_dispatched() -> None:  # I6
    play = diamond()
    assert play.give(Dispatch("d", "x")).refused == "task is waiting"


def test_a_task_starts_from_the_commits_of_its_dependencies() -> None:
    play = diamond()
    for name in "abc":
        play.succeed(name)
    play.dispatch("d")
    assert play.workflow.tasks["d"].parents == (commit_of("b"), commit_of("c"))


def test_a_task_without_a_commit_hands_its_parents_on() -> None:
    play = Play(plan(item("a"), item("b", "a"), item("c", "b")))
    play.succeed("a")
    play.succeed("b", commit=None)
    play.dispatch("c")
    assert play.workflow.tasks["c"].parents == (commit_of("a"),)


def test_all_done_means_merging_and_then_completed() -> None:
    play = Play(plan(item("a")))
    assert play.succeed("a").header is not None
    assert play.workflow.header.status == "merging"
    play.give(Merged("f" * 40))
    assert (play.workflow.header.status, play.workflow.header.result_commit) == ("completed", "f" * 40)


def test_a_workflow_that_left_nothing_is_completed_without_a_merge() -> None:
    play = Play(plan(item("a"), item("b", "a")))
    play.succeed("a", commit=None)
    last = play.succeed("b", commit=None)
    header = play.workflow.header
    assert (header.status, header.result_commit) == ("completed", None)
    assert header.finished_at is not None
    assert last.journal[-1] == WorkflowCompleted(None)


def test_one_commit_anywhere_is_merged() -> None:
    play = Play(plan(item("a"), item("b", "a")))
    play.succeed("a")
    play.succeed("b", commit=None)
    assert play.workflow.header.status == "merging"


def test_a_failed_merge_fails_the_workflow_and_can_be_retried() -> None:
    play = Play(plan(item("a")))
    play.succeed("a")
    play.give(MergeFailed("both changed x"))
    assert "both changed x" in play.workflow.header.reason
    play.give(Retry(None, "me"))
    assert play.workflow.header.status == "merging"


def test_only_the_first_outcome_of_a_dispatch_counts() -> None:  # I2
    play = Play(plan(item("a"), item("b", "a")))
    dispatch_id = play.dispatch("a")
    assert play.give(Finished("a", outcome(dispatch_id, commit="1" * 40))).refused is None
    again = play.give(Finished("a", outcome(dispatch_id, commit="2" * 40)))
    assert again.refused == "task is succeeded"
    assert play.workflow.tasks["a"].commit == "1" * 40


def test_an_outcome_of_a_superseded_dispatch_is_refused() -> None:  # I3
    play = Play(plan(item("a")))
    old = play.dispatch("a")
    play.give(Lost("a", old, "w1"))
    new = play.dispatch("a")
    assert play.give(Finished("a", outcome(old))).refused == "superseded dispatch"
    assert play.give(Finished("a", outcome(new))).refused is None


def test_an_outcome_for_an_unknown_task_is_refused() -> None:
    assert Play(plan(item("a"))).give(Finished("zzz", outcome("x"))).refused == "no such task"


def test_a_failure_is_retried_with_growing_pauses_and_then_final() -> None:
    play = Play(plan(item("a", max_retries=2), item("b", "a")))
    for expected in (1.0, 2.0):
        play.give(Finished("a", failed(play.dispatch("a"))))
        task = play.workflow.tasks["a"]
        assert (task.status, task.not_before) == ("ready", play.now + expected)
    play.give(Finished("a", failed(play.dispatch("a"))))
    assert play.statuses == {"a": "failed", "b": "blocked"}
    assert play.workflow.header.status == "failed"
    assert play.workflow.header.reason == "a: it broke"


def test_what_failed_attempts_cost_is_counted() -> None:
    play = Play(plan(item("a", max_retries=1)))
    play.give(Finished("a", failed(play.dispatch("a"))))
    play.give(Finished("a", failed(play.dispatch("a"))))
    assert play.workflow.tasks["a"].usage.cost_usd == 1.0


def test_a_failure_that_retrying_cannot_help_is_final_at_once() -> None:
    play = Play(plan(item("a", max_retries=5)))
    play.give(Finished("a", failed(play.dispatch("a"), retryable=False)))
    assert play.status("a") == "failed"


def test_other_branches_go_on_after_a_failure() -> None:
    play = Play(plan(item("a", max_retries=0), item("b"), item("c", "b")))
    play.give(Finished("a", failed(play.dispatch("a"))))
    assert play.workflow.header.status == "running"
    play.succeed("b")
    play.succeed("c")
    assert play.workflow.header.status == "failed"


def test_backoff_is_bounded() -> None:
    assert [backoff_seconds(n) for n in (1, 2, 3, 50)] == [1.0, 2.0, 4.0, BACKOFF_MOST_SECONDS]


def test_crashes_are_not_failures_and_lead_to_the_dead_letters() -> None:  # I7
    play = Play(plan(item("a", max_retries=0), item("b", "a")))
    for _ in range(MAX_CRASHES):
        assert play.status("a") == "ready"
        play.give(Lost("a", play.dispatch("a"), "w1"))
    assert play.statuses == {"a": "dead_lettered", "b": "blocked"}


def test_an_overdue_dispatch_counts_as_failed_and_is_recalled() -> None:
    play = Play(plan(item("a", max_retries=1)))
    dispatch_id = play.dispatch("a")
    decision = play.give(Overdue("a", dispatch_id))
    assert decision.recalls == (dispatch_id,)
    assert play.workflow.tasks["a"].failures == 1


def test_a_loss_of_an_old_dispatch_is_refused() -> None:  # I3
    play = Play(plan(item("a")))
    old = play.dispatch("a")
    play.give(Lost("a", old, "w1"))
    play.dispatch("a")
    assert play.give(Lost("a", old, "w1")).refused == "superseded dispatch"
    assert play.workflow.tasks["a"].crashes == 1


class TestCycle:
    @staticmethod
    def play(max_cycles: int = 2) -> Play:
        play = Play(
            plan(
                item("code", output_artifacts=("src/",)),
                item("test", "code", role="tester", output_artifacts=("tests/",), max_cycles=max_cycles),
                item("review", "test", role="reviewer", output_artifacts=()),
            )
        )
        play.succeed("code")
        return play

    def test_red_tests_add_a_fix_and_a_repetition_before_what_depends_on_them(self) -> None:
        play = self.play()
        decision = play.give(Finished("test", red_tests(play.dispatch("test"))))
        assert decision.journal[-1] == TaskToBeFixed("test", 1, ("test.fix1", "test.retest1"))
        assert play.statuses == {
            "code": "succeeded",
            "test": "succeeded",
            "review": "waiting",
            "test.fix1": "ready",
            "test.retest1": "waiting",
        }
        assert play.workflow.tasks["review"].dependencies == ("test.retest1",)
        assert play.workflow.header.open_tasks == 3

    def test_the_fix_may_write_the_code_and_never_the_tests(self) -> None:
        play = self.play()
        play.give(Finished("test", red_tests(play.dispatch("test"))))
        fix = play.workflow.tasks["test.fix1"].item
        assert (fix.agent_role, fix.output_artifacts) == ("debugger", ("src/",))

    def test_green_after_the_fix_goes_on(self) -> None:
        play = self.play()
        play.give(Finished("test", red_tests(play.dispatch("test"))))
        play.succeed("test.fix1")
        play.succeed("test.retest1", verdict="passed")
        play.succeed("review")
        assert play.workflow.header.status == "merging"

    def test_cycles_are_bounded(self) -> None:
        play = self.play(max_cycles=2)
        play.give(Finished("test", red_tests(play.dispatch("test"))))
        play.succeed("test.fix1")
        play.give(Finished("test.retest1", red_tests(play.dispatch("test.retest1"))))
        assert play.workflow.tasks["review"].dependencies == ("test.retest2",)
        play.succeed("test.fix2")
        play.give(Finished("test.retest2", red_tests(play.dispatch("test.retest2"))))
        assert play.workflow.header.status == "failed"
        assert play.status("review") == "blocked"
        assert "tests still fail" in play.workflow.header.reason

    def test_a_verdict_without_tests_is_said_to_be_one(self) -> None:
        play = self.play(max_cycles=0)
        play.give(Finished("test", outcome(play.dispatch("test"), verdict="failed", summary="no good")))
        assert play.workflow.header.reason == "test: the report is negative: no good"

    @pytest.mark.parametrize(
        ("failure", "code", "said"),
        [
            (TestFailure(kind="failed", test="t", error="assert 1"), "verdict_failed", "tests still fail"),
            (
                TestFailure(kind="not_loaded", test="t", error="ImportError: x", path="a.py", line=3),
                "tests_not_loaded",
                "the tests could not be loaded: t: ImportError: x (a.py:3)",
            ),
            (
                TestFailure(kind="not_loaded", test="t", error="ImportError: x", on_base=True),
                "environment",
                "environment: the tests of the unchanged base cannot be loaded either: t: ImportError: x",
            ),
        ],
    )
    def test_an_end_says_what_failed_first(self, failure: TestFailure, code: str, said: str) -> None:
        play = self.play(max_cycles=0)
        play.give(Finished("test", red_tests(play.dispatch("test"), failure=failure)))
        error = play.workflow.tasks["test"].error
        assert error is not None
        assert (error.code, error.message.startswith(said)) == (code, True)
        assert play.workflow.header.reason == f"test: {error.message}"

    def test_no_fix_is_tried_for_what_the_code_cannot_help(self) -> None:
        play = self.play(max_cycles=2)
        missing = TestFailure(kind="not_loaded", test="t", error="ImportError: x", on_base=True)
        play.give(Finished("test", red_tests(play.dispatch("test"), failure=missing)))
        error = play.workflow.tasks["test"].error
        assert error is not None
        assert (error.code, play.workflow.header.status) == ("environment", "failed")
        assert "test.fix1" not in play.workflow.tasks

    def reviewed(self, *, max_cycles: int = 2) -> Play:
        play = Play(
            plan(
                item("code", output_artifacts=("src/",)),
                item("test", "code", role="tester", output_artifacts=("tests/",)),
                item("review", "test", role="reviewer", output_artifacts=(), max_cycles=max_cycles),
                item("docs", "review", output_artifacts=("docs/",)),
            )
        )
        play.succeed("code")
        return play

    def refuse(self, play: Play, name: str) -> None:
        assert play.give(Finished(name, refused_review(play.dispatch(name)))).refused is None

    def test_what_a_review_does_not_approve_is_fixed_tested_and_reviewed_again(self) -> None:
        play = self.reviewed()
        play.succeed("test", verdict="passed")
        self.refuse(play, "review")
        tasks = play.workflow.tasks
        assert (tasks["review.fix1"].status, tasks["review.fix1"].dependencies) == ("ready", ("review",))
        assert tasks["review.fix1"].item.output_artifacts == ("src/",)
        assert tasks["test.retest1"].dependencies == ("review.fix1",)
        assert tasks["review.retest1"].dependencies == ("test.retest1",)
        assert tasks["docs"].dependencies == ("review.retest1",)
        for name in ("review.fix1", "test.retest1", "review.retest1", "docs"):
            play.succeed(name, verdict="passed")
        assert play.workflow.header.status == "merging"

    def test_a_fix_for_a_review_that_breaks_tests_is_a_debug_cycle_of_the_test(self) -> None:
        play = self.reviewed()
        play.give(Finished("test", red_tests(play.dispatch("test"))))
        play.succeed("test.fix1")
        play.succeed("test.retest1", verdict="passed")
        self.refuse(play, "review")
        play.succeed("review.fix1")
        assert play.status("test.retest2") == "ready"
        assert "test.fix2" not in play.workflow.tasks
        play.give(Finished("test.retest2", red_tests(play.dispatch("test.retest2"))))
        assert play.status("test.fix3") == "ready", "the repetition for the review was no cycle of the test"
        assert play.workflow.tasks["review.retest1"].dependencies == ("test.retest3",)
        play.succeed("test.fix3")
        play.give(Finished("test.retest3", red_tests(play.dispatch("test.retest3"))))
        assert play.workflow.header.status == "failed"
        assert play.status("review.retest1") == "blocked"

    def test_a_review_that_goes_on_refusing_fails_the_workflow_with_its_findings(self) -> None:
        play = self.reviewed(max_cycles=1)
        play.succeed("test", verdict="passed")
        self.refuse(play, "review")
        play.succeed("review.fix1")
        play.succeed("test.retest1", verdict="passed")
        self.refuse(play, "review.retest1")
        assert play.status("docs") == "blocked"
        error = play.workflow.tasks["review.retest1"].error
        assert error is not None
        assert error.code == "not_approved"
        assert play.workflow.header.reason == (
            "review.retest1: the review does not approve: not acceptable; "
            "major (a.py): full houses are compared wrongly"
        )

    def test_findings_of_any_length_end_the_workflow(self) -> None:
        play = self.reviewed(max_cycles=0)
        play.succeed("test", verdict="passed")
        finding = ReviewFinding(severity="major", path="a.py", message="x" * 90_000)
        review = ReviewSummary(approved=False, findings=(finding,) * 3)
        said = outcome(play.dispatch("review"), verdict="failed", summary="no", review=review)
        assert play.give(Finished("review", said)).refused is None
        error = play.workflow.tasks["review"].error
        assert error is not None
        assert (error.code, len(error.message)) == ("not_approved", 2_000)

    def test_two_reviews_that_refuse_have_repetitions_of_their_own(self) -> None:
        play = Play(
            plan(
                item("code"),
                item("test", "code", role="tester"),
                item("one", "test", role="reviewer", output_artifacts=()),
                item("two", "test", role="reviewer", output_artifacts=()),
            )
        )
        play.succeed("code")
        play.succeed("test", verdict="passed")
        self.refuse(play, "one")
        self.refuse(play, "two")
        assert play.workflow.tasks["one.retest1"].dependencies == ("test.retest1",)
        assert play.workflow.tasks["two.retest1"].dependencies == ("test.retest2",)
        play.succeed("one.fix1")
        play.give(Finished("test.retest1", red_tests(play.dispatch("test.retest1"))))
        assert play.workflow.tasks["one.retest1"].dependencies == ("test.retest3",)

    def test_a_review_of_no_code_fails_at_once(self) -> None:
        play = Play(plan(item("look", role="reviewer", output_artifacts=())))
        self.refuse(play, "look")
        assert play.workflow.header.status == "failed"

    def test_a_fix_that_would_name_too_many_files_gets_their_folders(self) -> None:
        coders = [
            item(f"c{n}", output_artifacts=tuple(f"src/{n}/{part}.py" for part in range(5)))
            for n in range(41)
        ]
        test = item("test", *(coder.task_id for coder in coders), role="tester")
        play = Play(plan(*coders, test))
        for coder in coders:
            play.succeed(coder.task_id)
        play.give(Finished("test", red_tests(play.dispatch("test"))))
        outputs = play.workflow.tasks["test.fix1"].item.output_artifacts
        assert outputs == tuple(f"src/{n}/" for n in range(41))

    def test_a_negative_review_fails_the_task(self) -> None:
        play = Play(plan(item("r", role="reviewer")))
        play.give(Finished("r", outcome(play.dispatch("r"), verdict="failed", summary="no")))
        assert play.status("r") == "failed"


class TestPeople:
    @staticmethod
    def waiting() -> Play:
        play = Play(plan(item("a"), item("b", "a", requires_approval=True), item("c", "b")))
        play.succeed("a")
        assert play.status("b") == "waiting_approval"
        return play

    @staticmethod
    def hash_of(play: Play, task_id: str) -> str:
        task = play.workflow.tasks[task_id]
        return action_hash(play.workflow, task)

    def test_an_approval_releases_the_task(self) -> None:
        play = self.waiting()
        play.give(Approve("b", self.hash_of(play, "b"), "me"))
        assert play.status("b") == "ready"

    def test_an_approval_of_something_else_is_refused(self) -> None:
        play = self.waiting()
        assert "not what was approved" in str(play.give(Approve("b", "0" * 64, "me")).refused)
        assert play.status("b") == "waiting_approval"

    def test_an_approval_counts_once(self) -> None:
        play = self.waiting()
        approved = self.hash_of(play, "b")
        play.give(Approve("b", approved, "me"))
        assert play.give(Approve("b", approved, "me")).refused

    def test_a_rejection_fails_the_task_with_its_reason(self) -> None:
        play = self.waiting()
        play.give(Reject("b", "me", "too risky"))
        assert play.statuses == {"a": "succeeded", "b": "failed", "c": "blocked"}
        assert "too risky" in play.workflow.header.reason

    def test_a_rejection_of_another_action_is_refused(self) -> None:
        play = self.waiting()
        seen = self.hash_of(play, "b")
        refused = play.give(Reject("b", "me", "too risky", "0" * 64)).refused
        assert refused == "what waits for approval is not what was rejected; look at it again"
        assert play.status("b") == "waiting_approval"
        assert play.give(Reject("b", "me", "too risky", seen)).refused is None
        assert play.status("b") == "failed"

    def test_cancelling_recalls_what_is_out(self) -> None:
        play = diamond()
        dispatch_id = play.dispatch("a")
        decision = play.give(Cancel("me"))
        assert decision.recalls == (dispatch_id,)
        assert set(play.statuses.values()) == {"cancelled"}
        assert play.give(Finished("a", outcome(dispatch_id))).refused == "task is cancelled"
        assert play.give(Cancel("me")).refused

    def test_retrying_reopens_the_failed_and_the_blocked(self) -> None:
        play = Play(plan(item("a", max_retries=0), item("b", "a"), item("c", "b")))
        play.give(Finished("a", failed(play.dispatch("a"))))
        assert play.give(Retry(None, "me")).refused is None
        assert play.statuses == {"a": "ready", "b": "waiting", "c": "waiting"}
        for name in "abc":
            play.succeed(name)
        assert play.workflow.header.status == "merging"

    def test_retrying_after_a_cancellation_goes_on_where_it_stood(self) -> None:
        play = diamond()
        play.succeed("a")
        play.give(Cancel("me"))
        play.give(Retry(None, "me"))
        assert play.statuses == {"a": "succeeded", "b": "ready", "c": "ready", "d": "waiting"}
        assert play.workflow.header.open_tasks == 3

    def test_a_workflow_is_not_complete_while_a_task_stays_cancelled(self) -> None:
        play = Play(plan(item("a"), item("b")))
        play.give(Cancel("me"))
        play.give(Retry("a", "me"))
        play.succeed("a")
        assert play.statuses == {"a": "succeeded", "b": "cancelled"}
        assert play.workflow.header.status == "failed"

    def test_retrying_one_leaves_blocked_what_another_failure_still_blocks(self) -> None:  # I1
        play = Play(plan(item("a", max_retries=0), item("b", max_retries=0), item("c", "a", "b")))
        play.give(Finished("a", failed(play.dispatch("a"))))
        play.give(Finished("b", failed(play.dispatch("b"))))
        play.give(Retry("a", "me"))
        assert play.statuses == {"a": "ready", "b": "failed", "c": "blocked"}
        play.succeed("a")
        assert play.workflow.header.status == "failed"

    @pytest.mark.parametrize("name", ["a", None])
    def test_there_must_be_something_to_retry(self, name: str | None) -> None:
        assert diamond().give(Retry(name, "me")).refused


class TestSuspects:
    def test_a_death_that_others_share_is_not_counted(self) -> None:  # I7
        play = Play(plan(item("a"), item("b")))
        for name in "ab":
            play.give(Lost(name, play.dispatch(name), "w1", alone=False))
        tasks = play.workflow.tasks.values()
        assert [(task.status, task.crashes, task.suspect) for task in tasks] == [("ready", 0, True)] * 2

    def test_only_deaths_alone_lead_to_the_dead_letters(self) -> None:  # I7
        play = Play(plan(item("a")))
        for alone in (False, True, False, True, False):
            play.give(Lost("a", play.dispatch("a"), "w1", alone))
        assert play.status("a") == "ready"
        play.give(Lost("a", play.dispatch("a"), "w1"))
        assert play.status("a") == "dead_lettered"

    def test_a_suspect_goes_to_a_stream_of_its_own_until_it_ends_by_itself(self) -> None:
        play = Play(plan(item("a", max_retries=1, required_tag="rust")))
        assert request_stream(play.workflow.tasks["a"]) == "agent.requests.coder.rust"
        play.give(Lost("a", play.dispatch("a"), "w1", alone=False))
        assert request_stream(play.workflow.tasks["a"]) == "agent.suspects.coder.rust"
        play.give(Finished("a", failed(play.dispatch("a"))))
        assert not play.workflow.tasks["a"].suspect

    def test_success_and_retry_clear_the_suspicion(self) -> None:
        play = Play(plan(item("a"), item("b")))
        play.give(Lost("a", play.dispatch("a"), "w1", alone=False))
        play.succeed("a")
        assert not play.workflow.tasks["a"].suspect
        for _ in range(MAX_CRASHES):
            play.give(Lost("b", play.dispatch("b"), "w1"))
        play.give(Retry("b", "me"))
        assert (play.workflow.tasks["b"].suspect, play.workflow.tasks["b"].crashes) == (False, 0)


class TestOutages:
    @pytest.mark.parametrize(
        "code", ["sandbox_unavailable", "store_unavailable", "bus_unavailable", "unavailable"]
    )
    def test_an_outage_is_no_failure_however_often_it_comes(self, code: str) -> None:
        play = Play(plan(item("a", max_retries=0)))
        waits = []
        for _ in range(7):
            decision = play.give(Finished("a", failed(play.dispatch("a"), code=code)))
            assert [type(entry) for entry in decision.journal] == [TaskDelayed]
            waits.append(play.workflow.tasks["a"].not_before - play.now)
        assert waits == [1, 2, 4, 8, 16, 30, 30]
        task = play.workflow.tasks["a"]
        assert (task.status, task.failures, task.outages) == ("ready", 0, 7)
        assert task.error is not None
        assert task.error.code == code
        assert task.usage.model_calls == 7, "what it cost is kept"
        play.succeed("a")
        assert play.workflow.tasks["a"].error is None

    @pytest.mark.parametrize(("code", "retryable"), [("model_unavailable", True), ("unavailable", False)])
    def test_other_failures_use_up_retries(self, code: str, retryable: bool) -> None:
        play = Play(plan(item("a", max_retries=0)))
        play.give(Finished("a", failed(play.dispatch("a"), code=code, retryable=retryable)))
        assert play.status("a") == "failed"

    def test_an_outage_does_not_clear_a_suspicion(self) -> None:
        play = Play(plan(item("a")))
        play.give(Lost("a", play.dispatch("a"), "w1", alone=False))
        play.give(Finished("a", failed(play.dispatch("a"), code="sandbox_unavailable")))
        assert play.workflow.tasks["a"].suspect

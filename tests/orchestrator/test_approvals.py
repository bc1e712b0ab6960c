"""An approval allows exactly one action, once, for a while; a denial is for ever."""

from __future__ import annotations

import pytest

from contracts.documents.approval_policy import combined
from contracts.messages.approval_events import ApprovalAsked, ApprovalUsed, TaskApproved, TaskRejected
from contracts.messages.budget import Budget, SpendingLimits
from contracts.messages.events import decode
from contracts.messages.payloads import TaskRequest
from contracts.messages.suspension import Question, Suspension
from orchestrator.core.approvals.actions import action_of
from orchestrator.core.events import Dispatch, Finished, Lost, Overdue, Retry, WorkflowEvent
from orchestrator.scheduling.messages import request_message
from tests.orchestrator.approving import (
    CALL,
    RUNS,
    approve,
    hash_of,
    policy,
    reject,
    rule,
    started,
    waiting,
    wants,
)
from tests.orchestrator.plans import Play, failed, item, outcome, red_tests

HOUR = 3_600.0
AGAIN = rule("again", roles=("coder",), idempotent=True)
ASKS = rule("coders", roles=("coder",))


def request_of(play: Play, task_id: str = "a") -> TaskRequest:
    data = decode(request_message(play.workflow.header, play.workflow.tasks[task_id]).payload).data
    assert isinstance(data, TaskRequest)
    return data


class TestOnce:
    def test_the_dispatch_that_an_approval_allows_uses_it_up(self) -> None:
        play = waiting()
        found = hash_of(play)
        assert approve(play).journal == (TaskApproved("a", "me", found),)
        decision = play.give(Dispatch("a", "d1"))
        given = play.workflow.tasks["a"].approval
        assert given is not None
        assert (given.state, given.dispatch_id, given.action_hash) == ("consumed", "d1", found)
        assert decision.journal[0] == ApprovalUsed("a", found, "d1")

    def test_of_racing_approvers_exactly_one_wins(self) -> None:
        play = waiting()
        found = hash_of(play)
        assert [approve(play, person=who, wanted=found).refused is None for who in ("x", "y", "z")] == [
            *(True, False, False)
        ]
        given = play.workflow.tasks["a"].approval
        assert given is not None
        assert given.person == "x"

    @pytest.mark.parametrize("end", ["failed", "lost", "overdue"])
    def test_what_is_tried_again_is_asked_again_and_an_old_approval_does_not_count(self, end: str) -> None:
        play = waiting()
        old = hash_of(play)
        approve(play)
        dispatch_id = play.dispatch("a")
        ends: dict[str, WorkflowEvent] = {
            "failed": Finished("a", failed(dispatch_id)),
            "lost": Lost("a", dispatch_id, "w1"),
            "overdue": Overdue("a", dispatch_id),
        }
        play.give(ends[end])
        decision = play.give(Dispatch("a", "d2"))
        assert play.status("a") == "waiting_approval"
        assert isinstance(decision.journal[0], ApprovalAsked)
        assert ("unknown" in decision.journal[0].reason) == (end != "failed")
        assert approve(play, wanted=old).refused == (
            "what waits for approval is not what was approved; look at it again"
        )
        earlier = action_of(play.workflow, play.workflow.tasks["a"])["earlier"]
        assert earlier["state"] == ("consumed" if end == "failed" else "unknown")
        assert (earlier["action_hash"], earlier["dispatch_id"]) == (old, dispatch_id)
        assert approve(play).refused is None
        play.succeed("a")

    def test_what_is_declared_idempotent_is_tried_again_with_the_same_approval(self) -> None:
        play = started(policy(AGAIN))
        approve(play)
        play.give(Lost("a", play.dispatch("a"), "w1"))
        play.give(Finished("a", failed(play.dispatch("a"))))
        play.now += 23 * HOUR
        play.give(Lost("a", play.dispatch("a"), "w1"))
        play.now += 2 * HOUR
        play.give(Dispatch("a", "late"))
        assert play.status("a") == "waiting_approval"

    @pytest.mark.parametrize("end", ["outage", "question"])
    def test_work_that_goes_on_after_an_outage_or_a_question_goes_on_as_approved(self, end: str) -> None:
        play = started(None, item("a", requires_approval=True), questions=True)
        approve(play)
        dispatch_id = play.dispatch("a")
        asked = Suspension(question=Question(text="Which?"))
        ends = {
            "outage": failed(dispatch_id, code="sandbox_unavailable"),
            "question": outcome(dispatch_id, status="suspended", suspended=asked),
        }
        play.give(Finished("a", ends[end]))
        given = play.workflow.tasks["a"].approval
        assert given is not None
        assert (given.state, given.dispatch_id) == ("approved", None)


class TestWhile:
    def test_an_approval_that_was_not_used_in_time_counts_no_more(self) -> None:
        play = waiting()
        old = hash_of(play)
        approve(play)
        play.now += 24 * HOUR
        [asked] = play.give(Dispatch("a", "d")).journal
        assert asked == ApprovalAsked("a", "the approval was not used in time")
        assert approve(play, wanted=old).refused
        assert approve(play).refused is None
        play.dispatch("a")

    def test_a_rule_says_how_long(self) -> None:
        play = started(policy(rule("short", hours=0.5)))
        approve(play)
        play.now += HOUR / 2 - 1
        play.dispatch("a")


class TestDenied:
    def test_a_denial_is_final(self) -> None:
        play = started(None, item("a", requires_approval=True), item("b", "a"), item("c", max_retries=0))
        reject(play, reason="no")
        assert play.statuses == {"a": "failed", "b": "blocked", "c": "ready"}
        refused = play.give(Retry("a", "me")).refused
        assert refused == "a: rejected by a person, which is final; submit another plan"
        play.give(Finished("c", failed(play.dispatch("c"))))
        assert play.give(Retry(None, "me")).refused is None
        assert play.statuses == {"a": "failed", "b": "blocked", "c": "ready"}

    def test_what_a_rule_denies_never_starts_and_nobody_can_allow_it(self) -> None:
        play = started(policy(rule("never", then="deny", roles=("coder",))))
        assert play.status("a") == "ready"
        play.give(Dispatch("a", "d"))
        error = play.workflow.tasks["a"].error
        assert error is not None
        assert (play.status("a"), error.code) == ("failed", "denied_by_policy")
        assert approve(play).refused


class TestRules:
    def test_the_first_rule_that_names_a_task_decides(self) -> None:
        allows = rule("trusted", then="allow", paths=("docs/",))
        asked, free = item("a", output_artifacts=("a.py",)), item("b", output_artifacts=("docs/a.md",))
        play = started(policy(allows, ASKS), asked, free)
        assert play.statuses == {"a": "waiting_approval", "b": "ready"}
        assert action_of(play.workflow, play.workflow.tasks["a"])["policy"]["rule"] == "coders"

    def test_a_rule_of_the_users_comes_before_those_of_a_repository(self) -> None:
        both = combined(policy(rule("mine", then="allow"), version="7"), policy(ASKS, version="2"))
        assert both is not None
        assert both.version == "user 7, repository 2"
        assert started(both).status("a") == "ready"
        assert combined(None, policy()) is None

    @pytest.mark.parametrize(
        ("path", "asks"),
        [("migrations/1.sql", True), ("MIGRATIONS/1.sql", True), ("migrations/", True), ("src/", False)],
    )
    def test_a_rule_for_paths_names_what_may_write_them(self, path: str, asks: bool) -> None:
        play = started(policy(rule("sql", paths=("/migrations/",))), item("a", output_artifacts=(path,)))
        assert (play.status("a") == "waiting_approval") is asks

    @pytest.mark.parametrize(("usd", "asks"), [(1.0, False), (1.5, True), (None, True)])
    def test_a_rule_for_cost_names_what_may_cost_more(self, usd: float | None, asks: bool) -> None:
        budget = None if usd is None else Budget(task=SpendingLimits.of(usd))
        play = started(policy(rule("dear", usd_above=1.0)), item("a"), budget=budget)
        assert (play.status("a") == "waiting_approval") is asks

    def test_fixes_are_asked_about_too(self) -> None:
        tests = item("t", "a", role="tester")
        play = started(policy(rule("fixes", roles=("debugger",))), item("a"), tests)
        play.succeed("a")
        play.give(Finished("t", red_tests(play.dispatch("t"))))
        play.give(Dispatch("t.fix1", "d"))
        assert play.status("t.fix1") == "waiting_approval"


class TestCalls:
    def test_a_call_waits_and_its_approval_rides_in_one_dispatch(self) -> None:
        play = started(RUNS)
        assert wants(play).journal == (ApprovalAsked("a", "it wants to call run"),)
        assert (play.status("a"), play.workflow.tasks["a"].dispatch_id) == ("waiting_approval", None)
        action = action_of(play.workflow, play.workflow.tasks["a"])
        assert (action["action"], action["call"]["arguments"]) == ("run", CALL.arguments)
        assert action["policy"]["risk"] == "medium"
        approve(play)
        dispatch_id = play.dispatch("a")
        permits = request_of(play).permits
        assert permits is not None
        assert permits.allowed == CALL.digest
        play.give(Lost("a", dispatch_id, "w1"))
        play.give(Dispatch("a", "d2"))
        assert play.status("a") == "waiting_approval"
        assert action_of(play.workflow, play.workflow.tasks["a"])["earlier"]["state"] == "unknown"

    def test_after_an_outage_a_call_may_have_been_made_so_it_is_asked_again(self) -> None:
        play = started(RUNS)
        wants(play)
        approve(play)
        play.give(Finished("a", failed(play.dispatch("a"), code="sandbox_unavailable")))
        play.give(Dispatch("a", "d2"))
        assert play.status("a") == "waiting_approval"

    def test_once_a_task_went_on_its_next_attempt_may_make_no_call(self) -> None:
        play = started(RUNS)
        wants(play)
        approve(play)
        play.give(Finished("a", failed(play.dispatch("a"))))
        play.dispatch("a")
        permits = request_of(play).permits
        assert permits is not None
        assert permits.allowed is None

    def test_the_agent_is_told_of_a_refusal_and_may_not_ask_again(self) -> None:
        play = started(RUNS)
        wants(play)
        found = hash_of(play)
        decision = reject(play, reason="not today")
        assert decision.journal == (TaskRejected("a", "me", found, "rejected by me: not today"),)
        dispatch_id = play.dispatch("a")
        permits = request_of(play).permits
        assert permits is not None
        assert permits.refused == {CALL.digest: "rejected by me: not today"}
        again = outcome(dispatch_id, status="suspended", suspended=Suspension(action=CALL))
        play.give(Finished("a", again))
        error = play.workflow.tasks["a"].error
        assert error is not None
        assert error.code == "approval_refused"

    def test_nobody_is_asked_where_no_rule_says_so(self) -> None:
        play = started(policy(ASKS))
        approve(play)
        wants(play)
        error = play.workflow.tasks["a"].error
        assert error is not None
        assert error.code == "approval_refused"
        assert request_of_nothing(play)


def request_of_nothing(play: Play) -> bool:
    """Whether the next dispatch says nothing about calls."""
    approve(play)
    play.give(Dispatch("a", "next"))
    return play.status("a") == "waiting_approval" or request_of(play).permits is None

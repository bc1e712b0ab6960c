"""What follows from figures, with its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from multi_agent.rollout.decision import ALARM_SHARES, GateDecision, alarm_threshold, decide
from multi_agent.rollout.evidence import MeasuredStep, OutcomeGroup
from multi_agent.rollout.figures import ArmFigures, StageFigures, failing_step, rating_step, time_step
from multi_agent.rollout.plan import RolloutPlan

PLAN = RolloutPlan()
DAY = 86_400.0
ARM = ArmFigures(
    requests=1_000,
    ended=1_000,
    succeeded=900,
    seconds=10.0,
    cost_usd=0.40,
    costs_known=1_000,
    findings_known=1_000,
    rating=4.5,
    ratings=20,
)
GOOD = StageFigures(
    legacy=replace(ARM, requests=3_000, ended=3_000, succeeded=2_550),
    multi_agent=ARM,
    outcomes=(
        OutcomeGroup(0, 10, 15, "legacy", 17, True, None, 2_550),
        OutcomeGroup(0, 10, 15, "legacy", 17, False, None, 450),
        OutcomeGroup(0, 10, 15, "multi_agent", 17, None, True, 900),
        OutcomeGroup(0, 10, 15, "multi_agent", 17, None, False, 100),
    ),
)


def decided(figures: StageFigures = GOOD, stage: int = 0, seconds: float = 2 * DAY) -> GateDecision:
    return decide(PLAN, stage, seconds, figures)


def failed(decision: GateDecision) -> list[str]:
    return [check.name for check in (*decision.checks, *decision.alarms) if not check.passed]


def test_an_open_gate_promotes_and_says_why() -> None:
    decision = decided()
    assert decision.action == "promote"
    assert "success not worse by 5.0%" in decision.why
    assert "cost $0.4000 a request, limit $1.00" in decision.why


@pytest.mark.parametrize(
    ("changes", "closed"),
    [
        ({"seconds": 21.0}, "time"),
        ({"cost_usd": 1.01}, "cost"),
        ({"costs_known": 29}, "cost"),
        ({"findings_known": 0}, "findings"),
        ({"rating": 3.9}, "rating"),
        ({"seconds": None}, "time"),
    ],
)
def test_each_limit_closes_the_gate(changes: dict[str, float], closed: str) -> None:
    decision = decided(replace(GOOD, multi_agent=replace(ARM, **changes)))  # type: ignore[arg-type]
    assert (decision.action, failed(decision)) == ("stay", [closed])


def test_a_stage_lasts_its_least_time_and_the_limit_of_time_is_stricter_after_the_first() -> None:
    assert failed(decided(seconds=DAY - 1)) == ["duration"]
    slow = replace(GOOD, multi_agent=replace(ARM, seconds=18.0))
    assert failed(decided(slow)) == []
    assert failed(decided(slow, stage=1)) == ["time"]


def test_too_little_evidence_keeps_the_gate_closed() -> None:
    few = replace(GOOD, outcomes=tuple(replace(one, count=one.count // 10) for one in GOOD.outcomes))
    assert failed(decided(few)) == ["success"]


def test_the_last_stage_completes_without_a_legacy_arm() -> None:
    alone = replace(GOOD, legacy=ArmFigures(), outcomes=())
    assert decided(alone, stage=4, seconds=3 * DAY).action == "complete"


def test_a_security_finding_rolls_back_at_once() -> None:
    found = decided(replace(GOOD, multi_agent=replace(ARM, findings=1)), seconds=1.0)
    assert (found.action, found.why) == ("rollback", "1 security findings, limit 0")


@pytest.mark.parametrize(
    ("alarm", "value", "count"),
    [
        ("cost", 3.0, 12),
        ("time", time_step(40, 2.0), 30),
        ("rating", rating_step(1, 4.0), 12),
        ("failing", failing_step(failing=True, most=0.05), 5),
    ],
)
def test_each_alarm_rolls_back_with_confidence(alarm: str, value: float, count: int) -> None:
    bad = {alarm: (MeasuredStep(0, value, count),)}
    decision = decided(replace(GOOD, measured=bad))  # type: ignore[arg-type]
    assert (decision.action, failed(decision)) == ("rollback", [alarm])
    few = {alarm: (MeasuredStep(0, value, 1),)}
    assert decided(replace(GOOD, measured=few)).action == "promote"  # type: ignore[arg-type]


def test_success_below_the_least_or_worse_than_legacy_rolls_back() -> None:
    def with_success(count: int) -> StageFigures:
        ours = (
            OutcomeGroup(0, 10, 15, "multi_agent", 17, None, True, count),
            OutcomeGroup(0, 10, 15, "multi_agent", 17, None, False, 1_000 - count),
        )
        return replace(GOOD, outcomes=(*GOOD.outcomes[:2], *ours))

    assert failed(decided(with_success(600)))[-2:] == ["worse", "low"]
    assert decided(with_success(600)).action == "rollback"
    assert decided(with_success(815)).action == "stay"


def test_alarms_share_the_bound_on_false_rollbacks() -> None:
    bound = sum(
        1 / alarm_threshold(PLAN, stage, alarm) for stage in range(len(PLAN.stages)) for alarm in ALARM_SHARES
    )
    assert bound == pytest.approx(PLAN.false_rollbacks)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"stages": [{"percent": 10, "hours": 1}]}, "end with 100"),
        ({"stages": [{"percent": 100, "hours": 1}, {"percent": 100, "hours": 1}]}, "must grow"),
        ({"stages": [{"percent": 90, "shadow": 20, "hours": 1}]}, "percent + shadow is 110"),
        ({"limits": {"margin": 0}}, "greater than 0"),
    ],
)
def test_a_plan_that_cannot_be_kept_is_refused(plan: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        RolloutPlan.model_validate(plan)

"""What follows from the figures of a stage: stay, go on, or go back, and each reason in numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from typing import Final, Literal

from multi_agent.rollout.evidence import alarm_log_e, gate_log_e, low_log_e, worse_log_e
from multi_agent.rollout.figures import ArmFigures, StageFigures
from multi_agent.rollout.plan import RolloutPlan, Stage

Action = Literal["stay", "promote", "complete", "rollback"]

FIRST_STAGE: Final = 0.5
"""The part of the bound on false rollbacks that is the first stage's, where a bad arm should be found; the
others have the rest in equal parts."""
ALARM_SHARES: Final = {
    "worse": 0.4,
    "low": 0.3,
    "cost": 0.075,
    "time": 0.075,
    "rating": 0.075,
    "failing": 0.075,
}
"""How a stage's part is shared by the alarms."""
_ALARMS: Final = {
    "worse": "success is worse than the legacy arm's by more than the margin",
    "low": "success is below the least",
    "cost": "the mean cost is over its limit",
    "time": "the mean time is over its limit",
    "rating": "ratings are below the least",
    "failing": "the arm cannot take requests too often",
}
_MOST_LOG: Final = 50.0


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a gate."""

    name: str
    passed: bool
    text: str
    """With its numbers."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What to do with a rollout, and why."""

    action: Action
    why: str
    checks: tuple[Check, ...] = ()
    """Of the gate of this stage; all passed where it is open."""
    alarms: tuple[Check, ...] = ()
    """Of a rollback; one that did not pass is one."""


def decide(plan: RolloutPlan, stage: int, seconds: float, figures: StageFigures) -> GateDecision:
    """What follows for a rollout that has been in this stage, counted from 0, for so many seconds."""
    alarms = tuple(_alarms(plan, stage, figures))
    checks = tuple(_gate(plan, stage, seconds, figures))
    raised = [alarm.text for alarm in alarms if not alarm.passed]
    closed = [check.text for check in checks if not check.passed]
    if raised:
        return GateDecision("rollback", "; ".join(raised), checks, alarms)
    if closed:
        return GateDecision("stay", "; ".join(closed), checks, alarms)
    last = stage == len(plan.stages) - 1
    why = "; ".join(check.text for check in checks)
    return GateDecision("complete" if last else "promote", why, checks, alarms)


def alarm_threshold(plan: RolloutPlan, stage: int, alarm: str) -> float:
    """The e-value at which this alarm rolls back in this stage."""
    others = len(plan.stages) - 1
    share = 1.0 if not others else FIRST_STAGE if stage == 0 else (1 - FIRST_STAGE) / others
    return 1 / (plan.false_rollbacks * share * ALARM_SHARES[alarm])


def _alarms(plan: RolloutPlan, stage: int, figures: StageFigures) -> Iterator[Check]:
    limits, arm = plan.limits, figures.multi_agent
    if limits.findings is not None:
        found = f"{arm.findings} security findings, limit {limits.findings}"
        yield Check("findings", arm.findings <= limits.findings, found)
    logs: dict[str, float] = {
        "worse": worse_log_e(figures.outcomes, limits.margin),
        "low": low_log_e(figures.outcomes, limits.least_success),
    }
    logs |= {name: alarm_log_e(steps) for name, steps in figures.measured.items()}
    for name, found_log in logs.items():
        least = alarm_threshold(plan, stage, name)
        raised = found_log >= log(least)
        sign = ">=" if raised else "<"
        said = f"{_ALARMS[name]}: e = {_shown(found_log)} {sign} {least:,.0f}"
        yield Check(name, not raised, f"{said}; {_arms(figures)}" if raised else f"no sign that {said}")


def _gate(plan: RolloutPlan, number: int, seconds: float, figures: StageFigures) -> Iterator[Check]:
    stage = plan.stages[number]
    hours = seconds / 3_600
    yield Check("duration", hours >= stage.hours, f"{hours:.1f} h in this stage, at least {stage.hours:g}")
    # With no legacy arm beside it there is nothing to compare with: the alarms alone speak.
    if stage.percent < 100:
        yield _success(plan, figures)
        yield _time(plan, stage, figures)
    yield from _means(plan, figures.multi_agent)


def _success(plan: RolloutPlan, figures: StageFigures) -> Check:
    least = 1 / plan.false_promotions
    found = gate_log_e(figures.outcomes, plan.limits.margin)
    open_ = found >= log(least)
    text = (
        f"success not worse by {plan.limits.margin:.1%}: e = {_shown(found)} {'>=' if open_ else '<'} "
        f"{least:,.0f}; {_arms(figures)}"
    )
    return Check("success", open_, text)


def _time(plan: RolloutPlan, stage: Stage, figures: StageFigures) -> Check:
    ours, theirs = figures.multi_agent, figures.legacy
    if min(ours.ended, theirs.ended) < plan.least_outcomes or not ours.seconds or not theirs.seconds:
        return Check("time", False, _few(min(ours.ended, theirs.ended), plan.least_outcomes, "time"))
    ratio = ours.seconds / theirs.seconds
    text = f"time {ratio:.2f} times the legacy arm's ({ours.seconds:.3g} s), limit {stage.time_ratio:g}"
    return Check("time", ratio <= stage.time_ratio, text)


def _means(plan: RolloutPlan, arm: ArmFigures) -> Iterator[Check]:
    limits, least = plan.limits, plan.least_outcomes
    if limits.cost_usd is not None:
        if arm.cost_usd is None or arm.costs_known < least:
            yield Check("cost", False, _few(arm.costs_known, least, "cost"))
        else:
            text = f"cost ${arm.cost_usd:,.4f} a request, limit ${limits.cost_usd:,.2f}"
            yield Check("cost", arm.cost_usd <= limits.cost_usd, text)
    if limits.findings is not None and arm.findings_known < least:
        yield Check("findings", False, _few(arm.findings_known, least, "security findings"))
    if limits.satisfaction is not None:
        text = f"{arm.ratings} ratings"
        if arm.rating is not None:
            text += f", mean {arm.rating:.2f}, at least {limits.satisfaction:g}"
        yield Check("rating", arm.rating is None or arm.rating >= limits.satisfaction, text)


def _few(known: int, least: int, what: str) -> str:
    return f"{what} known of {known:,} requests, at least {least:,}"


def _arms(figures: StageFigures) -> str:
    return f"multi-agent {_share(figures.multi_agent)}, legacy {_share(figures.legacy)}"


def _share(arm: ArmFigures) -> str:
    shown = "-" if arm.success is None else f"{arm.success:.1%}"
    return f"{shown} of {arm.ended:,}"


def _shown(found_log: float) -> str:
    return f"{exp(min(found_log, _MOST_LOG)):,.3g}"

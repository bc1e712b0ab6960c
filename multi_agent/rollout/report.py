"""A rollout as one page that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final

from contracts.base.text import visible
from contracts.base.timestamps import local_time
from multi_agent.rollout.decision import Check, GateDecision
from multi_agent.rollout.figures import ArmFigures, StageFigures
from multi_agent.rollout.plan import RolloutPlan

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 960, 240, 60, 24
_MOST_POINTS: Final = 120
_COLOURS: Final = {"legacy": "#6e7781", "multi_agent": "#0969da"}
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
body { color: #1b1f24 } table { border-collapse: collapse; width: 100% }
td, th { padding: .2rem .6rem; text-align: left; vertical-align: top } th { border-bottom: 2px solid #8c959f }
td { border-bottom: 1px solid #d8dee4 } .good { color: #116329 } .bad { color: #a40e26 }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: #57606a }
"""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One arm in a block of requests."""

    at: float
    """Seconds since 1970."""
    arm: str
    stage: int
    """Counted from 0."""
    ended: int
    succeeded: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ReportedDecision:
    """One decision."""

    at: float
    action: str
    who: str
    stage: int
    """Counted from 1."""
    why: str


@dataclass(frozen=True, slots=True)
class RolloutReport:
    """What the page shows."""

    name: str
    state: str
    stage: int
    """Counted from 1."""
    plan: RolloutPlan
    figures: StageFigures
    decision: GateDecision
    decisions: Sequence[ReportedDecision]
    points: Sequence[CurvePoint]


def render_report(report: RolloutReport) -> str:
    """The page, in HTML."""
    plan, name = report.plan, _text(report.name)
    limits = plan.limits
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Rollout {name}</title>'
        f"<style>{_STYLE}</style></head><body><h1>Rollout {name}</h1>"
        f"<p><strong>{_text(report.state.replace('_', ' '))}</strong>, stage {report.stage} of "
        f"{len(plan.stages)}. Margin {limits.margin:.1%}; false promotions at most "
        f"{plan.false_promotions:.1%}, false rollbacks at most {plan.false_rollbacks:.1%}.</p>"
        f"<h2>Success</h2>{_curves(report.points, _success, '{:.0%}', 1.0)}"
        f"<h2>Seconds of a request</h2>{_curves(report.points, _seconds, '{:.3g} s', None)}"
        f"<h2>Stage {report.stage}</h2>{_arms(report.figures)}"
        f"<h2>Gate</h2>{_checks(report.decision.checks)}<h2>Alarms</h2>{_checks(report.decision.alarms)}"
        f"<h2>Decisions</h2>{_decisions(report.decisions)}</body></html>\n"
    )


def _text(value: str) -> str:
    return escape(visible(value))


def _success(points: Sequence[CurvePoint]) -> float | None:
    ended = sum(point.ended for point in points)
    return sum(point.succeeded for point in points) / ended if ended else None


def _seconds(points: Sequence[CurvePoint]) -> float | None:
    known = [(point.seconds, point.ended) for point in points if point.seconds is not None]
    ended = sum(count for _, count in known)
    return sum(seconds * count for seconds, count in known) / ended if ended else None


def _curves(
    points: Sequence[CurvePoint],
    value: Callable[[Sequence[CurvePoint]], float | None],
    form: str,
    top: float | None,
) -> str:
    """Both arms against time, stages as upright lines."""
    lines = {arm: _line([one for one in points if one.arm == arm], value) for arm in _COLOURS}
    found = [shown_value for line in lines.values() for _, shown_value in line]
    if not found:
        return "<p>Nothing has ended yet.</p>"
    begin, end = min(one.at for one in points), max(one.at for one in points)
    most = top or max(found) or 1.0

    def x(at: float) -> float:
        return _LEFT + (at - begin) / ((end - begin) or 1.0) * (_WIDTH - _LEFT)

    drawn = "".join(
        f'<path d="M{" L".join(f"{x(at):.1f} {_y(one, most):.1f}" for at, one in line)}" fill="none" '
        f'stroke="{_COLOURS[arm]}" stroke-width="2"/>' + _dots(line, x, most, _COLOURS[arm])
        for arm, line in lines.items()
        if line
    )
    stages = "".join(
        f'<path d="M{x(at):.1f} 0V{_HEIGHT - _BOTTOM}" stroke="#d8dee4"/>'
        f'<text x="{x(at) + 3:.1f}" y="12">stage {stage + 1}</text>'
        for stage, at in _begins(points)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"><text x="0" y="12">{form.format(most)}</text>'
        f'<text x="0" y="{_HEIGHT - _BOTTOM}">{form.format(0)}</text>{stages}{drawn}'
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{local_time(begin)}</text>'
        f'<text x="{_WIDTH}" y="{_HEIGHT - 4}" text-anchor="end">{local_time(end)}</text></svg>'
        f'<p><span style="color:{_COLOURS["multi_agent"]}">multi-agent</span>, '
        f'<span style="color:{_COLOURS["legacy"]}">legacy</span></p>'
    )


def _line(
    points: Sequence[CurvePoint], value: Callable[[Sequence[CurvePoint]], float | None]
) -> list[tuple[float, float]]:
    """(time, value) of groups of neighbours, as many as can be told apart."""
    size = -(-len(points) // _MOST_POINTS) or 1
    groups = (points[start : start + size] for start in range(0, len(points), size))
    line = [(sum(one.at for one in group) / len(group), value(group)) for group in groups]
    return [(at, found) for at, found in line if found is not None]


def _dots(line: Iterable[tuple[float, float]], x: Callable[[float], float], most: float, colour: str) -> str:
    return "".join(
        f'<circle cx="{x(at):.1f}" cy="{_y(one, most):.1f}" r="2.5" fill="{colour}"/>' for at, one in line
    )


def _y(value: float, most: float) -> float:
    return (_HEIGHT - _BOTTOM) * (1 - value / most)


def _begins(points: Sequence[CurvePoint]) -> list[tuple[int, float]]:
    ordered = sorted(points, key=lambda one: (one.stage, one.at))
    return [(stage, next(group).at) for stage, group in groupby(ordered, key=lambda one: one.stage)]


def _arms(figures: StageFigures) -> str:
    rows = "".join(
        f"<tr><th>{label}</th><td>{form(figures.multi_agent)}</td><td>{form(figures.legacy)}</td></tr>"
        for label, form in _ROWS.items()
    )
    return f"<table><tr><th></th><th>multi-agent</th><th>legacy</th></tr>{rows}</table>"


def _optional(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


_ROWS: Final[dict[str, Callable[[ArmFigures], str]]] = {
    "requests": lambda arm: f"{arm.requests:,}",
    "ended": lambda arm: f"{arm.ended:,}",
    "success": lambda arm: _optional(arm.success, "{:.2%}"),
    "seconds": lambda arm: _optional(arm.seconds, "{:.3g}"),
    "cost": lambda arm: _optional(arm.cost_usd, "${:,.4f}"),
    "iterations": lambda arm: _optional(arm.iterations, "{:.2f}"),
    "security findings": lambda arm: f"{arm.findings:,} in {arm.findings_known:,}",
    "rating": lambda arm: f"{_optional(arm.rating, '{:.2f}')} by {arm.ratings:,}",
    "complaints": lambda arm: f"{arm.complaints:,}",
    "could not take": lambda arm: f"{arm.failing:,}",
}


def _checks(checks: Iterable[Check]) -> str:
    lines = "".join(
        f'<li class="{"good" if one.passed else "bad"}">{_text(one.name)}: {_text(one.text)}</li>'
        for one in checks
    )
    return f"<ul>{lines}</ul>"


def _decisions(decisions: Iterable[ReportedDecision]) -> str:
    rows = "".join(
        f"<tr><td>{local_time(one.at)}</td><td>{_text(one.action)}</td><td>{one.stage}</td>"
        f"<td>{_text(one.who)}</td><td>{_text(one.why)}</td></tr>"
        for one in decisions
    )
    return (
        "<table><tr><th>When</th><th>What</th><th>Stage</th><th>Who</th><th>Why, with numbers</th></tr>"
        f"{rows}</table>"
    )

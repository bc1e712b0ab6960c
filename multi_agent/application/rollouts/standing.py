"""Where a rollout stands."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Any

from contracts.base.errors import InvalidInput
from multi_agent.rollout.assignment import Flag, State
from multi_agent.rollout.decision import GateDecision, decide
from multi_agent.rollout.evidence import Assigned, MeasuredStep, OutcomeGroup
from multi_agent.rollout.figures import (
    ArmFigures,
    Measure,
    StageFigures,
    failing_step,
    rating_step,
    time_step,
)
from multi_agent.rollout.plan import RolloutPlan
from orchestrator.client.rollouts import RolloutRow, RolloutStore, StageSums

_STATES: dict[str, State] = {"running": "running", "completed": "completed", "rolled_back": "rolled_back"}


@dataclass(frozen=True, slots=True)
class Standing:
    """A rollout, its figures in its stage, and what follows from them."""

    row: RolloutRow
    plan: RolloutPlan
    figures: StageFigures
    decision: GateDecision

    @property
    def flag(self) -> Flag:
        """What programs are told."""
        return flag_of(self.row)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        row = self.row
        return {
            "rollout": row.rollout_id,
            "state": row.state,
            "stage": row.stage + 1,
            "stages": len(self.plan.stages),
            "percent": self.flag.percent,
            "shadow": self.flag.shadow,
            "started_at": row.started_at,
            "stage_since": row.stage_since,
            "ended_at": row.ended_at,
            "legacy": asdict(self.figures.legacy),
            "multi_agent": asdict(self.figures.multi_agent),
            "decision": asdict(self.decision),
        }


def flag_of(row: RolloutRow) -> Flag:
    """What programs are told of a rollout."""
    if row.state == "rolled_back":
        return Flag(0, 0, row.rollout_id, row.stage, "rolled_back")
    stage = RolloutPlan.model_validate_json(row.plan).stages[row.stage]
    return Flag(stage.percent, stage.shadow, row.rollout_id, row.stage, _STATES[row.state])


async def stand(store: RolloutStore, row: RolloutRow, now: float) -> Standing:
    """Read the figures of a rollout's stage, and judge them as of now, or of its end."""
    plan = RolloutPlan.model_validate_json(row.plan)
    figures = stage_figures(plan, row.stage, await store.stage_sums(row.rollout_id, row.stage))
    seconds = (row.ended_at or now) - row.stage_since
    return Standing(row, plan, figures, decide(plan, row.stage, seconds, figures))


async def standing_of(store: RolloutStore, rollout_id: str | None, now: float) -> Standing:
    """One rollout, or the newest. Raises InvalidInput where there is none."""
    row = await store.find(rollout_id)
    if row is None:
        raise InvalidInput(f"there is no rollout {rollout_id}" if rollout_id else "there is no rollout yet")
    return await stand(store, row, now)


def stage_figures(plan: RolloutPlan, stage: int, sums: StageSums) -> StageFigures:
    """The figures of a stage from what was read of it, against the limits of the plan."""
    limits = plan.limits
    measured: dict[Measure, list[MeasuredStep]] = defaultdict(list)
    for one in sums.values:
        if one.measure == "cost" and limits.cost_usd is not None:
            value = one.value / 10 - 1
        elif one.measure == "time" and plan.stages[stage].percent < 100:
            value = time_step(one.value, plan.stages[stage].time_ratio)
        elif one.measure == "rating" and limits.satisfaction is not None:
            value = rating_step(one.value, limits.satisfaction)
        elif one.measure == "failing":
            value = failing_step(bool(one.value), limits.failing)
        else:
            continue
        measured[one.measure].append(MeasuredStep(one.block, value, one.requests))
    assigned: dict[str, Assigned] = {one: one for one in ("multi_agent", "shadowed", "legacy")}
    outcomes = tuple(
        OutcomeGroup(
            one.block,
            one.percent,
            one.shadow,
            assigned[one.assigned],
            one.centre,
            one.legacy,
            one.multi_agent,
            one.requests,
        )
        for one in sums.outcomes
    )
    return StageFigures(
        ArmFigures(*sums.legacy),
        ArmFigures(*sums.multi_agent),
        outcomes,
        {name: tuple(steps) for name, steps in measured.items()},
    )

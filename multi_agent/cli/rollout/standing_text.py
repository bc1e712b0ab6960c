"""A rollout in lines, and the store that its commands use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from contracts.base.timestamps import local_time
from multi_agent.application.rollouts.standing import Standing
from multi_agent.rollout.figures import ArmFigures
from multi_agent.runtime.services import open_services
from multi_agent.settings import Settings
from orchestrator.client.rollouts import RolloutStore


@asynccontextmanager
async def open_rollouts(settings: Settings, *, create: bool = False) -> AsyncIterator[RolloutStore]:
    """The rollouts of a data folder or database."""
    async with open_services(settings, create=create) as services:
        yield RolloutStore(services.database)


def standing_lines(standing: Standing) -> Iterator[str]:
    """Where it stands, both arms, and each condition with its numbers."""
    row, flag, decision = standing.row, standing.flag, standing.decision
    state = row.state.replace("_", " ")
    shadow = f", {flag.shadow} % in the shadow" if flag.shadow else ""
    yield (
        f"{row.rollout_id}: {state}, stage {row.stage + 1} of {len(standing.plan.stages)} since "
        f"{local_time(row.stage_since)}, {flag.percent} % of keys{shadow}"
    )
    yield arm_line("legacy", standing.figures.legacy)
    yield arm_line("multi-agent", standing.figures.multi_agent)
    for check in decision.checks:
        yield f"  {'open  ' if check.passed else 'closed'}  {check.text}"
    for alarm in decision.alarms:
        yield f"  {'quiet ' if alarm.passed else 'ALARM '}  {alarm.text}"
    if row.state == "running":
        yield f"next: {decision.action}"


def arm_line(name: str, arm: ArmFigures) -> str:
    """One arm."""
    said = [f"{arm.ended:,} of {arm.requests:,} requests ended"]
    said += [f"{arm.success:.1%} succeeded"] if arm.success is not None else []
    said += [f"{arm.seconds:.3g} s"] if arm.seconds is not None else []
    said += [f"${arm.cost_usd:,.4f}"] if arm.cost_usd is not None else []
    said += [f"{arm.findings} findings"] if arm.findings_known else []
    said += [f"rated {arm.rating:.2f} by {arm.ratings}"] if arm.rating is not None else []
    said += [f"could not take {arm.failing}"] if arm.failing else []
    return f"  {name}: {', '.join(said)}"

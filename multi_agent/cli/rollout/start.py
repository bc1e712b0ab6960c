"""`multi-agent rollout start`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from contracts.base.printing import print_line
from multi_agent.application.rollouts.changes import a_person, read_rollout_plan, start_rollout
from multi_agent.cli.options import data_dir_option, database_option, quiet_settings
from multi_agent.cli.rollout.standing_text import open_rollouts
from multi_agent.rollout.plan import RolloutPlan
from multi_agent.settings import Settings


@click.command()
@click.argument("name")
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file with stages and limits; what it leaves out is as usual. [default: 10, 25, 50, 75, 100 %]",
)
@database_option
@data_dir_option
def start(name: str, plan_path: Path | None, **options: object) -> None:
    """Begin the rollout NAME with its first stage; `rollout serve` tells programs, and goes on."""
    plan = read_rollout_plan(plan_path)
    asyncio.run(_start(quiet_settings(**options), name, plan))
    for number, stage in enumerate(plan.stages, 1):
        shadow = f", {stage.shadow} % in the shadow" if stage.shadow else ""
        print_line(f"stage {number}: {stage.percent} % of keys{shadow}, at least {stage.hours:g} h")
    print_line(f"{name} has begun with stage 1")


async def _start(settings: Settings, name: str, plan: RolloutPlan) -> None:
    async with open_rollouts(settings, create=True) as store:
        await start_rollout(store, name, plan, a_person(), time.time())

"""`multi-agent rollout promote`."""

from __future__ import annotations

import asyncio
import time

import click

from contracts.base.printing import print_line
from multi_agent.application.rollouts.changes import a_person
from multi_agent.application.rollouts.changes import promote as promote_rollout
from multi_agent.application.rollouts.standing import Standing
from multi_agent.cli.options import data_dir_option, database_option, quiet_settings
from multi_agent.cli.rollout.standing_text import open_rollouts
from multi_agent.settings import Settings


@click.command()
@click.option("--closed", is_flag=True, help="Although the gate is closed; give a reason.")
@click.option("--reason", default="", help="Why, for the record.")
@database_option
@data_dir_option
def promote(closed: bool, reason: str, **options: object) -> None:
    """Go on to the next stage of the rollout that runs, if its gate is open."""
    if closed and not reason.strip():
        raise click.UsageError("--closed needs a --reason")
    standing = asyncio.run(_promote(quiet_settings(**options), closed, reason))
    state = standing.row.state
    if state == "completed":
        print_line(f"{standing.row.rollout_id} is completed")
    else:
        print_line(
            f"{standing.row.rollout_id} is in stage {standing.row.stage + 1}: {standing.flag.percent} %"
        )


async def _promote(settings: Settings, closed: bool, reason: str) -> Standing:
    async with open_rollouts(settings) as store:
        return await promote_rollout(store, a_person(reason), time.time(), closed=closed)

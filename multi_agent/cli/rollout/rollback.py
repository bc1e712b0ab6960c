"""`multi-agent rollout rollback`."""

from __future__ import annotations

import asyncio
import time

import click

from contracts.base.printing import print_line
from multi_agent.application.rollouts.changes import a_person
from multi_agent.application.rollouts.changes import rollback as roll_back
from multi_agent.application.rollouts.standing import Standing
from multi_agent.cli.options import data_dir_option, database_option, quiet_settings
from multi_agent.cli.rollout.standing_text import open_rollouts
from multi_agent.settings import Settings


@click.command()
@click.option("--reason", required=True, help="Why, for the record.")
@database_option
@data_dir_option
def rollback(reason: str, **options: object) -> None:
    """Send all traffic back to the legacy arm; what is under way ends, and all data is kept."""
    standing = asyncio.run(_rollback(quiet_settings(**options), reason))
    print_line(f"{standing.row.rollout_id} is rolled back: all traffic is the legacy arm's")


async def _rollback(settings: Settings, reason: str) -> Standing:
    async with open_rollouts(settings) as store:
        return await roll_back(store, a_person(reason), time.time())

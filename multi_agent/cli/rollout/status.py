"""`multi-agent rollout status`."""

from __future__ import annotations

import asyncio
import time

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.rollouts.standing import Standing, standing_of
from multi_agent.cli.options import data_dir_option, database_option, json_option, quiet_settings
from multi_agent.cli.rollout.standing_text import open_rollouts, standing_lines
from multi_agent.settings import Settings


@click.command()
@click.argument("name", required=False)
@database_option
@data_dir_option
@json_option
def status(name: str | None, as_json: bool, **options: object) -> None:
    """Show where the rollout NAME, by default the newest, stands: both arms, and its gate."""
    standing = asyncio.run(_standing(quiet_settings(**options), name))
    if as_json:
        print_json(standing.as_json())
        return
    for line in standing_lines(standing):
        print_line(line)


async def _standing(settings: Settings, name: str | None) -> Standing:
    async with open_rollouts(settings) as store:
        return await standing_of(store, name, time.time())

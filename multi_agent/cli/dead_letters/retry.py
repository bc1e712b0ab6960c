"""`multi-agent dead-letters retry`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import retry_dead_letter
from multi_agent.cli.dead_letters.text import dead_letter_argument
from multi_agent.cli.options import data_dir_option, settings_of
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.core.commands import CommandResult


@click.command()
@dead_letter_argument
@data_dir_option
def retry(dead_letter_id: int, **options: object) -> None:
    """Give the task of dead letter ID fresh attempts, or publish its message again."""
    result = asyncio.run(_retry(settings_of(**options), dead_letter_id))
    print_result(result, f"dead letter {dead_letter_id} is tried again")


async def _retry(settings: Settings, dead_letter_id: int) -> CommandResult | None:
    async with open_client(settings) as client:
        return await retry_dead_letter(client, dead_letter_id, caller())

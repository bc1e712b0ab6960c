"""`multi-agent dead-letters discard`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import discard_dead_letter
from multi_agent.cli.dead_letters.text import dead_letter_argument
from multi_agent.cli.options import data_dir_option, settings_of
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.core.commands import CommandResult


@click.command()
@dead_letter_argument
@data_dir_option
def discard(dead_letter_id: int, **options: object) -> None:
    """Close dead letter ID; `list --all` still shows it."""
    result = asyncio.run(_discard(settings_of(**options), dead_letter_id))
    print_result(result, f"dead letter {dead_letter_id} is closed")


async def _discard(settings: Settings, dead_letter_id: int) -> CommandResult | None:
    async with open_client(settings) as client:
        return await discard_dead_letter(client, dead_letter_id, caller())

"""`multi-agent dead-letters show`."""

from __future__ import annotations

import asyncio

import click

from contracts.base.printing import print_json, print_line, print_text
from multi_agent.cli.dead_letters.text import (
    about,
    as_json_value,
    dead_letter_argument,
    moment,
    shown_bytes,
)
from multi_agent.cli.options import data_dir_option, json_option, settings_of
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.scheduling.dead_letters import StoredDeadLetter


@click.command()
@dead_letter_argument
@data_dir_option
@json_option
def show(dead_letter_id: int, as_json: bool, **options: object) -> None:
    """Show the reason, the bytes and the worker's last logs of dead letter ID."""
    found = asyncio.run(_read(settings_of(**options), dead_letter_id))
    if as_json:
        print_json(as_json_value(found))
        return
    print_line(f"{found.dead_letter_id}  {moment(found.at)}  {about(found)}")
    print_line(f"stream   {found.stream}")
    print_line(f"reason   {found.reason}")
    if found.resolution and found.resolved_at:
        print_line(f"{found.resolution} {moment(found.resolved_at)}")
    print_text(f"message, {len(found.raw)} bytes:\n{shown_bytes(found.raw)}")
    if found.logs:
        print_text(f"the worker logged last:\n{found.logs}")


async def _read(settings: Settings, dead_letter_id: int) -> StoredDeadLetter:
    async with open_client(settings) as client:
        return await client.dead_letter(dead_letter_id)

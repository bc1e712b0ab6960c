"""`multi-agent audit export`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from contracts.base.printing import print_json
from multi_agent.application.audit.checking import export_rows
from multi_agent.cli.options import data_dir_option, quiet_settings
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command()
@data_dir_option
def export(data_dir: Path | None) -> None:
    """Write the whole audit log to stdout as JSON lines, by chain and number.

    `entry` is the text that is hashed; `audit verify FILE` checks such a file anywhere.
    """
    asyncio.run(_export(quiet_settings(data_dir=data_dir)))


async def _export(settings: Settings) -> None:
    async with open_client(settings) as client:
        async for row in export_rows(client.audit):
            print_json(row.model_dump(), indent=None)

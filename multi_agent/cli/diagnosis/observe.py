"""`multi-agent observe`."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_line
from contracts.base.timestamps import local_time
from multi_agent.cli.options import data_dir_option, quiet_settings, seconds_of_span
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from multi_agent.telemetry.mode import Debugging, read_debugging, write_debugging

_MOST_SECONDS: Final = 7 * 86_400.0


@click.command()
@click.argument("mode", required=False, type=click.Choice(["shipping", "debug"]))
@click.option("--for", "span", default="5m", show_default=True, metavar="SPAN", help="How long, up to 7d.")
@click.option("--workflow", help="Only what is about this workflow.")
@data_dir_option
def observe(mode: str | None, span: str, workflow: str | None, **options: object) -> None:
    """Log everything for a while (debug), or as much as is set (shipping); without MODE say which holds.

    It holds for all processes that serve the data folder, within a second and without a restart.
    """
    settings = quiet_settings(**options)
    if not settings.data.is_dir():
        raise InvalidInput(f"there is nothing in {settings.data} yet")
    if mode == "debug":
        seconds = seconds_of_span("--for", span)
        if not 0 < seconds <= _MOST_SECONDS:
            raise InvalidInput(f"--for is {span}; it can be from 1s to 7d")
        about = asyncio.run(_resolve(settings, workflow)) if workflow else None
        write_debugging(settings.data, Debugging(time.time() + seconds, about, "asked for"))
    elif mode == "shipping":
        write_debugging(settings.data, None)
    found = read_debugging(settings.data)
    if found is None:
        print_line(f"shipping: logs have the level {settings.log_level}")
        return
    about = "everything" if found.workflow_id is None else f"all about {found.workflow_id}"
    print_line(f"debug: {about} is logged until {local_time(found.until)} ({found.why})")


async def _resolve(settings: Settings, name: str) -> str:
    async with open_client(settings) as client:
        return await client.resolve(name)

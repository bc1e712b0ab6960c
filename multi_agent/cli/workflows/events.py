"""`multi-agent events`."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import click

from contracts.base.printing import print_json, print_line
from contracts.base.timestamps import local_time
from multi_agent.application.follow import follow
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.cli.workflows.journal_text import entry_text
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.client.views import JournalEntry


@click.command()
@newest_workflow_argument
@click.option("--after", type=int, default=0, help="Only entries with a higher sequence number.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@click.option("--follow", "until_end", is_flag=True, help="Go on until the workflow ends, without a limit.")
@data_dir_option
@json_option
def events(
    workflow: str | None, after: int, limit: int, until_end: bool, as_json: bool, **options: object
) -> None:
    """Print the journal of WORKFLOW, or of the newest one; with --json one object a line."""
    settings = quiet_settings(**options)
    if until_end:
        asyncio.run(_follow(settings, workflow, after, as_json=as_json))
        return
    for entry in asyncio.run(_read(settings, workflow, after, limit)):
        _print_entry(entry, as_json=as_json)


async def _read(settings: Settings, name: str | None, after: int, limit: int) -> list[JournalEntry]:
    async with open_client(settings) as client:
        return await client.events(await client.resolve(name), after, limit)


async def _follow(settings: Settings, name: str | None, after: int, *, as_json: bool) -> None:
    retry = DatabaseRetry(lambda text: print_line(text, err=True))
    async with open_client(settings) as client:
        async for progress in follow(client, await client.resolve(name), retry, after=after):
            for entry in progress.entries:
                _print_entry(entry, as_json=as_json)
            if progress.view.header.status.terminal:
                return


def _print_entry(entry: JournalEntry, *, as_json: bool) -> None:
    if as_json:
        # `kind` and `data` are the event as it is stored.
        stored = {each.name: getattr(entry, each.name) for each in fields(entry) if each.name != "event"}
        print_json(stored, indent=None)
        return
    print_line(f"{entry.sequence:>6} {local_time(entry.at)} {entry_text(entry)}")

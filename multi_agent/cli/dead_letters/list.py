"""`multi-agent dead-letters list`."""

from __future__ import annotations

import asyncio

import click

from contracts.base.printing import print_json, print_line
from contracts.base.text import flowing
from multi_agent.cli.dead_letters.text import about, as_json_value, moment
from multi_agent.cli.options import data_dir_option, json_option, settings_of
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.storage.dead_letters import MOST_MESSAGE_BYTES, MOST_MESSAGES


@click.command("list")
@click.option("--all", "resolved", is_flag=True, help="Also those that were retried or discarded.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@data_dir_option
@json_option
def list_dead_letters(resolved: bool, limit: int, as_json: bool, **options: object) -> None:
    """List the newest open dead letters."""
    found, dropped = asyncio.run(_read(settings_of(**options), resolved, limit))
    if dropped:
        what = f"{dropped} older messages that nobody could read were dropped"
        limits = f"{MOST_MESSAGES} of them are kept, with {MOST_MESSAGE_BYTES // 1_000_000} MB together"
        print_line(f"{what}; at most {limits}", err=as_json)
    if as_json:
        print_json([as_json_value(one) for one in found])
        return
    if not found:
        print_line("no dead letters")
    for one in found:
        state = f"  [{one.resolution}]" if one.resolution else ""
        reason = flowing(one.reason)[:100]
        print_line(f"{one.dead_letter_id}  {moment(one.at)}  {about(one)}{state}  {reason}")


async def _read(settings: Settings, resolved: bool, limit: int) -> tuple[list[StoredDeadLetter], int]:
    async with open_client(settings) as client:
        found = await client.dead_letters(resolved=resolved, limit=limit)
        return found, await client.dropped_messages()

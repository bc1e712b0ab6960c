"""`multi-agent approvals show`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from multi_agent.application.approvals.shown_actions import ShownActions
from multi_agent.application.decisions import pending_approval, waiting_approvals
from multi_agent.cli.decisions.action_text import print_action, print_waiting
from multi_agent.cli.options import (
    all_option,
    data_dir_option,
    newest_workflow_argument,
    risk_option,
    settings_of,
    task_argument,
)
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command()
@newest_workflow_argument
@task_argument
@click.option("--page", type=click.IntRange(min=1), default=1, help="Of a long action. [default: 1]")
@all_option
@risk_option
@data_dir_option
def show(
    workflow: str | None, task: str | None, page: int, every: bool, risk: str, data_dir: Path | None
) -> None:
    """Show all that would be allowed with TASK of WORKFLOW, by default the only one that waits.

    It is escaped JSON, and exactly what its hash is made of. `approve` takes without --hash what you saw;
    of a long action every page must have been opened.
    """
    settings = settings_of(data_dir=data_dir)
    asyncio.run(_show_all(settings, risk) if every else _show(settings, workflow, task, page))


async def _show(settings: Settings, workflow: str | None, task: str | None, page: int) -> None:
    async with open_client(settings) as client:
        pending = await pending_approval(client, workflow, task)
    print_action(pending, page)
    ShownActions(settings.data).note_page(pending, page)


async def _show_all(settings: Settings, risk: str) -> None:
    async with open_client(settings) as client:
        found = await waiting_approvals(client, risk)
    print_waiting(found)
    ShownActions(settings.data).note(found)

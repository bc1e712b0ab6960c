"""`multi-agent approve`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import PendingApproval, pending_approval
from multi_agent.application.decisions import approve as approve_task
from multi_agent.cli.options import data_dir_option, settings_of, task_argument, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.core.command_result import CommandResult


@click.command()
@workflow_argument
@task_argument
@click.option("--show", is_flag=True, help="Show what would be allowed, and do nothing.")
@click.option("--hash", "expected", help="Allow only the action that hashes to this (as --show prints it).")
@data_dir_option
def approve(workflow: str, task: str | None, show: bool, expected: str | None, **options: object) -> None:
    """Allow TASK of WORKFLOW, exactly as it stands now; without TASK, the only one that waits."""
    settings = settings_of(**options)
    if not show:
        print_result(asyncio.run(_approve(settings, workflow, task, expected)))
        return
    pending = asyncio.run(_pending(settings, workflow, task))
    click.echo(pending.item.model_dump_json(indent=2, exclude_defaults=True))
    click.echo(f"hash {pending.action_hash}")


async def _approve(
    settings: Settings, workflow: str, task: str | None, expected: str | None
) -> CommandResult | None:
    async with open_client(settings) as client:
        pending = await pending_approval(client, workflow, task)
        return await approve_task(client, pending, caller(), expected_hash=expected)


async def _pending(settings: Settings, workflow: str, task: str | None) -> PendingApproval:
    async with open_client(settings) as client:
        return await pending_approval(client, workflow, task)

"""`multi-agent reject`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import pending_approval
from multi_agent.application.decisions import reject as reject_task
from multi_agent.cli.options import data_dir_option, settings_of, task_argument, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.core.command_result import CommandResult


@click.command()
@workflow_argument
@task_argument
@click.option("--reason", default="", help="Why; it is kept in the journal.")
@data_dir_option
def reject(workflow: str, task: str | None, reason: str, **options: object) -> None:
    """Refuse TASK of WORKFLOW; tasks that depend on it are blocked."""
    print_result(asyncio.run(_reject(settings_of(**options), workflow, task, reason)))


async def _reject(settings: Settings, workflow: str, task: str | None, reason: str) -> CommandResult | None:
    async with open_client(settings) as client:
        return await reject_task(client, await pending_approval(client, workflow, task), caller(), reason)

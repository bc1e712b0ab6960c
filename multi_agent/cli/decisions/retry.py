"""`multi-agent retry`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import retry as retry_tasks
from multi_agent.application.decisions import retry_fresh
from multi_agent.cli.options import data_dir_option, settings_of, task_argument, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings
from orchestrator.core.command_result import CommandResult


@click.command()
@workflow_argument
@task_argument
@click.option("--fresh", is_flag=True, help="Ask for new answers instead of repeating what failed.")
@data_dir_option
def retry(workflow: str, task: str | None, fresh: bool, **options: object) -> None:
    """Give the failed tasks of WORKFLOW, or TASK, fresh attempts."""
    print_result(asyncio.run(_retry(settings_of(**options), workflow, task, fresh=fresh)))


async def _retry(settings: Settings, workflow: str, task: str | None, *, fresh: bool) -> CommandResult | None:
    async with open_client(settings) as client:
        if not fresh:
            return await retry_tasks(client, workflow, task, caller())
        async with open_artifacts(settings) as artifacts:
            return await retry_fresh(client, artifacts, workflow, task, caller())

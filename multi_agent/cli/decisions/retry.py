"""`multi-agent retry`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import retry as retry_tasks
from multi_agent.cli.options import data_dir_option, settings_of, task_argument, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command()
@workflow_argument
@task_argument
@data_dir_option
def retry(workflow: str, task: str | None, **options: object) -> None:
    """Give the failed tasks of WORKFLOW, or TASK, fresh attempts."""
    asyncio.run(_retry(settings_of(**options), workflow, task))


async def _retry(settings: Settings, workflow: str, task: str | None) -> None:
    async with open_client(settings) as client:
        workflow_id = await client.resolve(workflow)
        result = await retry_tasks(client, workflow_id, task, caller())
    print_result(result, f"{task or 'what failed'} of {workflow_id} gets fresh attempts")

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


@click.command()
@workflow_argument
@task_argument
@click.option("--fresh", is_flag=True, help="Ask for new answers instead of repeating what failed.")
@data_dir_option
def retry(workflow: str, task: str | None, fresh: bool, **options: object) -> None:
    """Give the failed tasks of WORKFLOW, or TASK, fresh attempts."""
    asyncio.run(_retry(settings_of(**options), workflow, task, fresh=fresh))


async def _retry(settings: Settings, workflow: str, task: str | None, *, fresh: bool) -> None:
    async with open_client(settings) as client:
        workflow_id = await client.resolve(workflow)
        if fresh:
            async with open_artifacts(settings) as artifacts:
                result = await retry_fresh(client, artifacts, workflow_id, task, caller())
        else:
            result = await retry_tasks(client, workflow_id, task, caller())
    attempts = "fresh attempts and answers" if fresh else "fresh attempts"
    print_result(result, f"{task or 'what failed'} of {workflow_id} gets {attempts}")

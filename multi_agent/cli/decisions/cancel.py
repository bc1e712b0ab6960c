"""`multi-agent cancel`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import cancel as cancel_workflow
from multi_agent.cli.options import data_dir_option, settings_of, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command()
@workflow_argument
@data_dir_option
def cancel(workflow: str, **options: object) -> None:
    """End WORKFLOW; what its tasks have committed stays."""
    asyncio.run(_cancel(settings_of(**options), workflow))


async def _cancel(settings: Settings, workflow: str) -> None:
    async with open_client(settings) as client:
        workflow_id = await client.resolve(workflow)
        result = await cancel_workflow(client, workflow_id, caller())
    print_result(result, f"{workflow_id} is cancelled")

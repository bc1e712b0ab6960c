"""`multi-agent cancel`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.decisions import cancel as cancel_workflow
from multi_agent.cli.options import data_dir_option, settings_of, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.core.command_result import CommandResult


@click.command()
@workflow_argument
@data_dir_option
def cancel(workflow: str, **options: object) -> None:
    """End WORKFLOW; what its tasks have committed stays."""
    print_result(asyncio.run(_cancel(settings_of(**options), workflow)))


async def _cancel(settings: Settings, workflow: str) -> CommandResult | None:
    async with open_client(settings) as client:
        return await cancel_workflow(client, workflow, caller())

"""`multi-agent watch`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.approvals import pending_approvals
from multi_agent.application.follow import follow
from multi_agent.application.shown_actions import ShownActions
from multi_agent.cli import EXIT_APPROVAL, EXIT_DONE, EXIT_FAILED
from multi_agent.cli.decisions.action_text import print_waiting
from multi_agent.cli.options import data_dir_option, newest_workflow_argument, quiet_settings
from multi_agent.cli.tables import Terminal
from multi_agent.cli.workflows.screen import Screen
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.core.state import WorkflowStatus


@click.command()
@newest_workflow_argument
@data_dir_option
def watch(workflow: str | None, **options: object) -> int:
    """Follow WORKFLOW, or the newest one, until it ends."""
    return asyncio.run(_watch(quiet_settings(**options), workflow))


async def _watch(settings: Settings, name: str | None) -> int:
    screen = Screen(Terminal())
    async with open_client(settings) as client:
        workflow_id = await client.resolve(name)
        try:
            async for progress in follow(client, workflow_id, DatabaseRetry(screen.say)):
                screen.show(progress)
                if progress.view.stands_still:
                    screen.close()
                    waiting = pending_approvals(progress.view)
                    print_waiting(waiting)
                    ShownActions(settings.data).note(waiting)
                    return EXIT_APPROVAL
                if progress.view.header.status.terminal:
                    completed = progress.view.header.status is WorkflowStatus.COMPLETED
                    return EXIT_DONE if completed else EXIT_FAILED
        finally:
            screen.close()
    return EXIT_FAILED

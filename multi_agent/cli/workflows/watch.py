"""`multi-agent watch`."""

from __future__ import annotations

import asyncio

import click

from contracts.base.printing import print_json
from multi_agent.application.approvals.shown_actions import ShownActions
from multi_agent.application.follow import Progress, follow
from multi_agent.application.waiting import pending
from multi_agent.cli import EXIT_DONE, EXIT_FAILED, EXIT_WAITING
from multi_agent.cli.decisions.action_text import print_waiting
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.cli.served_text import unserved_text
from multi_agent.cli.tables import Terminal
from multi_agent.cli.workflows.screen import Screen
from multi_agent.cli.workflows.workflow_json import workflow_json
from multi_agent.runtime.observing.bus_watch import BusTrouble, watched
from multi_agent.runtime.observing.liveness import is_served
from multi_agent.runtime.services import open_services, with_private_redis
from multi_agent.settings import Settings
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.core.state import WorkflowStatus
from orchestrator.storage.sql.database import Database


@click.command()
@newest_workflow_argument
@data_dir_option
@json_option
def watch(workflow: str | None, as_json: bool, **options: object) -> int:
    """Follow WORKFLOW, or the newest one, until it ends; with --json one object a line for each change."""
    return asyncio.run(_watch(quiet_settings(**options), workflow, as_json=as_json))


async def _watch(settings: Settings, name: str | None, *, as_json: bool) -> int:
    screen, bus = Screen(Terminal(err=as_json)), BusTrouble()
    async with open_services(settings) as services:
        client = services.client
        workflow_id = await client.resolve(name)

        async def look() -> str | None:
            return await _trouble(settings, services.database, bus)

        try:
            async with watched(look, screen.wait_for, screen.go_on):
                async for progress in follow(client, workflow_id, DatabaseRetry(screen.say)):
                    _show(screen, progress, as_json=as_json)
                    if progress.view.settled:
                        return _ended(settings, screen, progress, as_json=as_json)
        finally:
            screen.close()
            await bus.close()
    return EXIT_FAILED


def _show(screen: Screen, progress: Progress, *, as_json: bool) -> None:
    if as_json:
        print_json(workflow_json(progress.view), indent=None)
    else:
        screen.show(progress)


def _ended(settings: Settings, screen: Screen, progress: Progress, *, as_json: bool) -> int:
    """Show what a person must decide. Returns the exit code."""
    view = progress.view
    if view.header.status.terminal:
        return EXIT_DONE if view.header.status is WorkflowStatus.COMPLETED else EXIT_FAILED
    screen.close()
    if not as_json:
        waiting = pending(view)
        print_waiting(waiting)
        ShownActions(settings.data).note(waiting)
    return EXIT_WAITING


async def _trouble(settings: Settings, database: Database, bus: BusTrouble) -> str | None:
    """What the workflow waits for: somebody who serves the folder, or Redis."""
    if not await is_served(settings, database):
        return unserved_text()
    return await bus.of(with_private_redis(settings))

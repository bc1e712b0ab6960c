"""`multi-agent status`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from contracts.base.processes.command_lines import command_line
from contracts.base.text import flowing
from multi_agent.application.shown_actions import ShownActions
from multi_agent.application.status import Overview, WorkflowDetails, overview, workflow_details
from multi_agent.cli.options import (
    data_dir_option,
    json_option,
    newest_workflow_argument,
    quiet_settings,
)
from multi_agent.cli.workflows.workflow_json import workflow_json
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command()
@newest_workflow_argument
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@data_dir_option
@json_option
def status(workflow: str | None, limit: int, as_json: bool, **options: object) -> None:
    """Show the newest workflows, or WORKFLOW (any unambiguous beginning of its id) with its tasks."""
    settings = quiet_settings(**options)
    if workflow is None:
        found = asyncio.run(_overview(settings, limit))
        if as_json:
            print_json(_overview_json(found))
        else:
            _print_overview(found)
        return
    details = asyncio.run(_details(settings, workflow))
    if as_json:
        print_json(workflow_json(details.view))
    else:
        from multi_agent.cli.workflows.status_details import print_details  # noqa: PLC0415 - loads rich

        print_details(details)
        ShownActions(settings.data).note(details.waiting)


async def _overview(settings: Settings, limit: int) -> Overview:
    async with open_client(settings) as client:
        return await overview(client, limit)


async def _details(settings: Settings, name: str) -> WorkflowDetails:
    async with open_client(settings) as client:
        return await workflow_details(client, name)


def _overview_json(found: Overview) -> dict[str, object]:
    return {
        "workflows": [{**one.header._asdict(), "tasks": one.task_count} for one in found.workflows],
        "orchestrators": [asdict(one) for one in found.orchestrators],
        "workers": [asdict(one) for one in found.workers],
    }


def _print_overview(found: Overview) -> None:
    if not found.workflows:
        ways = f"`{command_line('run', 'REQUEST')}` or `{command_line('submit', 'PLAN')}`"
        print_line(f"no workflow yet; start one with {ways}")
    for one in found.workflows:
        header, age = one.header, _age(one.header.created_at)
        size = f"{one.task_count} tasks"
        print_line(
            f"{header.workflow_id}  {header.status.value}  {size}  {age}  {flowing(header.request)[:60]}"
        )
    for orchestrator in found.orchestrators:
        if orchestrator.note:
            print_line(f"orchestrator {orchestrator.pid} on {orchestrator.host}: {orchestrator.note}")
    for worker in found.workers:
        roles = ", ".join(worker.roles)
        print_line(f"worker {worker.worker_id} on {worker.host}: {roles} ({worker.slots} slots)")


def _age(since: float) -> str:
    seconds = int(max(0.0, time.time() - since))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"

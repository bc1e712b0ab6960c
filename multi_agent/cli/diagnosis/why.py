"""`multi-agent why`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from contracts.base.text import flowing
from multi_agent.application.diagnosis import Explanation, explain_workflow
from multi_agent.cli.options import (
    data_dir_option,
    json_option,
    newest_workflow_argument,
    settings_of,
    task_argument,
)
from multi_agent.runtime.observing.liveness import is_served
from multi_agent.runtime.services import open_services
from multi_agent.settings import Settings


@click.command()
@newest_workflow_argument
@task_argument
@data_dir_option
@json_option
def why(workflow: str | None, task: str | None, as_json: bool, **options: object) -> None:
    """Say what each unfinished task of WORKFLOW, or of the newest one, waits for; or only TASK.

    Facts only: the database, and what orchestrators and workers say within one lease.
    """
    found = asyncio.run(_explain(settings_of(**options), workflow, task))
    if as_json:
        print_json(asdict(found))
        return
    if not found.reasons:
        print_line(f"{found.workflow_id} waits for nothing: it has ended")
    for one in found.reasons:
        remedy = f"; {one.do}" if one.do else ""
        print_line(f"{one.task_id or found.workflow_id}: {flowing(one.text)}{remedy}")


async def _explain(settings: Settings, name: str | None, task: str | None) -> Explanation:
    async with open_services(settings) as services:
        return await explain_workflow(
            services.database,
            services.bus,
            name,
            task,
            listen_seconds=settings.lease_seconds,
            served=await is_served(settings, services.database),
            workers_can_join=settings.redis_url is not None,
        )

"""`multi-agent why`: what does it wait for?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from contracts.base.errors import InvalidInput
from multi_agent.bootstrap import make_client
from multi_agent.cli.common import data_dir_option, json_option, opened_services, print_json, settings_of
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from orchestrator.diagnosis.explain import Reason


@click.command()
@click.argument("workflow", required=False)
@click.argument("task", required=False)
@data_dir_option
@json_option
def why(workflow: str | None, task: str | None, as_json: bool, **options: object) -> None:
    """Say what each unfinished task of WORKFLOW, or of the newest one, waits for; or only TASK.

    Facts only: the database, and what orchestrators and workers say within one lease.
    """
    workflow_id, reasons = asyncio.run(_why(settings_of(**options), workflow, task))
    if as_json:
        print_json({"workflow_id": workflow_id, "reasons": [asdict(one) for one in reasons]})
        return
    if not reasons:
        click.echo(f"{workflow_id} waits for nothing: it has ended")
    for one in reasons:
        click.echo(f"{one.task_id or workflow_id}: {one.text}")


async def _why(settings: Settings, name: str | None, task: str | None) -> tuple[str, list[Reason]]:
    from orchestrator.diagnosis.explain import explain  # noqa: PLC0415
    from orchestrator.diagnosis.observe import observe_surroundings  # noqa: PLC0415 - heavy

    async with opened_services(settings) as (database, bus):
        workflow_id = await make_client(settings, database).resolve(name)
        found, around = await observe_surroundings(
            database, bus, workflow_id, listen_seconds=settings.lease_seconds
        )
    reasons = explain(found, around)
    if task is None:
        return workflow_id, reasons
    if found is None or task not in found.tasks:
        raise InvalidInput(f"workflow {workflow_id} has no task {task!r}; `multi-agent status` lists them")
    return workflow_id, [one for one in reasons if one.task_id in {None, task}]

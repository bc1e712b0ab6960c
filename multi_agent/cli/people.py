"""`approve`, `reject`, `cancel`, `retry`: what people decide."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from contracts.base.errors import InvalidInput
from multi_agent.cli.common import data_dir_option, opened_client, person, settings_of, settle
from multi_agent.settings import Settings

if TYPE_CHECKING:
    from orchestrator.client.views import WorkflowView
    from orchestrator.client.workflow_client import WorkflowClient

_workflow = click.argument("workflow")


@click.command()
@_workflow
@click.argument("task", required=False)
@click.option("--show", is_flag=True, help="Show what would be allowed, and do nothing.")
@click.option("--hash", "expected", help="Allow only the action that hashes to this (as --show prints it).")
@data_dir_option
def approve(workflow: str, task: str | None, show: bool, expected: str | None, **options: object) -> None:
    """Allow TASK of WORKFLOW, exactly as it stands now; without TASK, the only one that waits."""
    click.echo(asyncio.run(_approve(settings_of(**options), workflow, task, expected, show)))


async def _approve(
    settings: Settings, workflow: str, task: str | None, expected: str | None, show: bool
) -> str:
    async with opened_client(settings) as client:
        view, name = await _waiting(client, workflow, task)
        action = view.action_hash(name)
        if show:
            item = next(one.item for one in view.tasks if one.task_id == name)
            return f"{item.model_dump_json(indent=2, exclude_defaults=True)}\nhash {action}"
        if expected is not None and expected != action:
            raise InvalidInput(
                f"task {name} hashes to {action}, not to {expected}; look at it again with --show"
            )
        return await settle(client, client.approve(view.header.workflow_id, name, action, person()))


async def _waiting(client: WorkflowClient, workflow: str, task: str | None) -> tuple[WorkflowView, str]:
    workflow_id = await client.resolve(workflow)
    view = await client.workflow(workflow_id)
    if view is None:
        raise InvalidInput(f"workflow {workflow_id} is queued; no orchestrator has taken it up yet")
    names = [one.task_id for one in view.waiting_for_approval]
    if task in names:
        return view, str(task)
    if task is None and len(names) == 1:
        return view, names[0]
    waiting = ", ".join(names) or "none"
    raise InvalidInput(
        f"tasks of {view.header.workflow_id} that wait for approval: {waiting}; name one of them"
    )


@click.command()
@_workflow
@click.argument("task", required=False)
@click.option("--reason", default="", help="Why; it is kept in the journal.")
@data_dir_option
def reject(workflow: str, task: str | None, reason: str, **options: object) -> None:
    """Refuse TASK of WORKFLOW; what needs it is blocked."""
    click.echo(asyncio.run(_reject(settings_of(**options), workflow, task, reason)))


async def _reject(settings: Settings, workflow: str, task: str | None, reason: str) -> str:
    async with opened_client(settings) as client:
        view, name = await _waiting(client, workflow, task)
        return await settle(client, client.reject(view.header.workflow_id, name, person(), reason))


@click.command()
@_workflow
@data_dir_option
def cancel(workflow: str, **options: object) -> None:
    """End WORKFLOW; what its tasks have committed stays."""
    click.echo(asyncio.run(_cancel(settings_of(**options), workflow)))


async def _cancel(settings: Settings, workflow: str) -> str:
    async with opened_client(settings) as client:
        return await settle(client, client.cancel(await client.resolve(workflow), person()))


@click.command()
@_workflow
@click.argument("task", required=False)
@data_dir_option
def retry(workflow: str, task: str | None, **options: object) -> None:
    """Give the failed tasks of WORKFLOW, or TASK, fresh attempts."""
    click.echo(asyncio.run(_retry(settings_of(**options), workflow, task)))


async def _retry(settings: Settings, workflow: str, task: str | None) -> str:
    async with opened_client(settings) as client:
        return await settle(client, client.retry(await client.resolve(workflow), task, person()))

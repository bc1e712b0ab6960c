"""`multi-agent artifacts`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line
from contracts.base.refs import branch_name
from multi_agent.application.ends.results import OfferedWork, check_out, offered_work
from multi_agent.application.ends.unmoved import check_unmoved
from multi_agent.application.status import find_workflow
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.cli.workflows.offer_text import offer_lines
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings
from orchestrator.client.views import WorkflowView


@click.command()
@newest_workflow_argument
@click.option(
    "--checkout",
    "target",
    type=click.Path(path_type=Path),
    help="Put the result, or the unverified work of a failed workflow, into this new folder.",
)
@data_dir_option
@json_option
def artifacts(workflow: str | None, target: Path | None, as_json: bool, **options: object) -> None:
    """List the commits of WORKFLOW, or of the newest one; or check its result out as a Git repository."""
    settings = quiet_settings(**options)
    view, offered = asyncio.run(_find(settings, workflow))
    asyncio.run(_check(settings, view, offered))
    if target is not None:
        asyncio.run(_check_out(settings, view, target))
        print_line(f"{view.header.workflow_id} is in {target}", err=as_json)
        for line in offer_lines(offered) if offered else ():
            print_line(line, err=as_json)
        if not as_json:
            return
    asyncio.run(_print_history(settings, view.header.workflow_id, as_json=as_json))


async def _find(settings: Settings, name: str | None) -> tuple[WorkflowView, OfferedWork | None]:
    async with open_client(settings) as client:
        view = await find_workflow(client, name)
        return view, await offered_work(client, view)


async def _check(settings: Settings, view: WorkflowView, offered: OfferedWork | None) -> None:
    header = view.header
    async with open_artifacts(settings) as store:
        if header.result_commit is not None:
            await check_unmoved(store, branch_name(header.workflow_id), header.result_commit)
        elif offered is not None:
            await check_unmoved(store, offered.branch, offered.commit)


async def _check_out(settings: Settings, view: WorkflowView, target: Path) -> None:
    async with open_artifacts(settings) as store:
        await check_out(store, view, target)


async def _print_history(settings: Settings, workflow_id: str, *, as_json: bool) -> None:
    async with open_artifacts(settings) as store:
        commits = await store.history(workflow_id)
    if as_json:
        print_json([asdict(commit) for commit in commits])
        return
    for commit in commits:
        print_line(f"{commit.sha[:12]}  {commit.task_id}  {commit.subject}")
        for path in commit.files:
            print_line(f"              {path}")

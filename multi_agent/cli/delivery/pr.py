"""`multi-agent pr`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.delivery.pull_requests import Proposed, Wanted, propose
from multi_agent.application.spending.planning import planning_usage
from multi_agent.cli.delivery.opening import about, opened, to_option
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.settings import Settings


@click.command("pr")
@newest_workflow_argument
@to_option
@click.option("--remote", default="origin", show_default=True, help="The remote of it to push to.")
@click.option("--branch", metavar="NAME", help="The branch to push. [default: multi-agent/WORKFLOW]")
@click.option("--target", metavar="NAME", help="What to merge into. [default: the project's default branch]")
@click.option("--draft", is_flag=True, help="As a draft; what is not verified is one anyway.")
@data_dir_option
@json_option
def pull_request(workflow: str | None, data_dir: Path | None, as_json: bool, **wanted: Any) -> None:
    """Push what WORKFLOW, or the newest one, made, and open a pull request for it.

    At GitLab it is a merge request. Again, it updates the one that is there; a branch with other work is
    never moved. The token is GH_TOKEN or GITLAB_TOKEN, or GH_ENTERPRISE_TOKEN for a GitHub of your own, whose
    host MULTI_AGENT_FORGES names.
    """
    settings = quiet_settings(data_dir=data_dir)
    asyncio.run(_propose(settings, workflow, Wanted(**wanted), as_json=as_json))


async def _propose(settings: Settings, name: str | None, wanted: Wanted, *, as_json: bool) -> None:
    async with opened(settings, name) as (client, store, delivered):
        planning = await planning_usage(client, delivered.workflow_id)
        done = await propose(settings, client, store, delivered, planning, wanted)
    if as_json:
        print_json({**about(delivered), **asdict(done)})
    else:
        print_line(_sentence(done))


def _sentence(done: Proposed) -> str:
    what = "opened" if done.opened else "updated"
    return f"{what} {done.url} ({'a draft, ' if done.draft else ''}branch {done.branch})"

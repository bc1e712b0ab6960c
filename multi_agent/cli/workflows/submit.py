"""`multi-agent submit`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line
from contracts.documents.todo_list import TodoList
from multi_agent.application.approvals.policies import policy_for
from multi_agent.application.bases import RepositoryBase, find_base, take_base
from multi_agent.application.plans import check_protected, read_plan
from multi_agent.application.spending.budgets import find_budget
from multi_agent.bootstrap import check_price
from multi_agent.cli.options import (
    budget_options,
    data_dir_option,
    json_option,
    questions_option,
    settings_of,
)
from multi_agent.cli.output import may_ask
from multi_agent.runtime.services import open_artifacts, open_client
from multi_agent.settings import Settings
from orchestrator.core.commands import Terms


@dataclass(frozen=True, slots=True)
class _Submission:
    plan: TodoList
    repo: Path | None
    workflow_id: str | None
    wait_seconds: float


@click.command()
@click.argument("plan", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--repo", type=click.Path(file_okay=False, path_type=Path), help="Start from this repository's HEAD."
)
@click.option("--workflow-id", help="Name it yourself; the same name again is the same workflow.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="When too many workflows are open, wait so long for room.",
)
@questions_option
@budget_options
@data_dir_option
@json_option
def submit(
    plan: Path,
    repo: Path | None,
    workflow_id: str | None,
    wait_seconds: float,
    as_json: bool,
    **options: object,
) -> None:
    """Queue PLAN for the orchestrator that serves the data folder, now or later.

    Exits 4 when too many workflows are open (MULTI_AGENT_MAX_OPEN_WORKFLOWS).
    """
    settings = settings_of(**options)
    wanted = _Submission(read_plan(plan, settings.max_tasks), repo, workflow_id, wait_seconds)
    name = asyncio.run(_submit(settings, wanted))
    if as_json:
        print_json({"workflow_id": name})
    else:
        print_line(name)


async def _submit(settings: Settings, wanted: _Submission) -> str:
    base = RepositoryBase()
    if wanted.repo is not None:
        base = await find_base(wanted.repo, _say)
        check_protected(wanted.plan, base.protected)
        async with open_artifacts(settings) as artifacts:
            await take_base(artifacts, wanted.repo, base, settings, _say)
    of_repository = base.settings.budget_usd if base.settings else None
    check = partial(check_price, settings)
    budget = find_budget(settings, of_repository, check, _say, served_elsewhere=True)
    async with open_client(settings, create=True) as client:
        return await client.submit(
            wanted.plan,
            base_commit=base.commit,
            workflow_id=wanted.workflow_id,
            wait_seconds=wanted.wait_seconds,
            repository=base.settings,
            terms=Terms(may_ask(settings), budget, policy_for(settings, base.settings)),
        )


def _say(text: str) -> None:
    print_line(text, err=True)

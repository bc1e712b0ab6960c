"""`multi-agent plan` and `multi-agent submit`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from contracts.base.errors import InvalidInput
from contracts.documents.plan_checks import PlanLimits, parse_plan
from contracts.documents.todo_list import TodoList
from multi_agent.bootstrap import make_artifacts, make_model, make_planner
from multi_agent.cli.common import (
    agents_option,
    data_dir_option,
    json_option,
    model_option,
    opened_client,
    print_json,
    settings_of,
)
from multi_agent.settings import Settings


@click.command()
@click.argument("request")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("plans"))
@model_option
@agents_option
@json_option
def plan(request: str, output: Path, modules: tuple[str, ...], as_json: bool, **options: object) -> None:
    """Make a plan for REQUEST and write it to a folder (default: plans)."""
    from planner_service.write import write_plan  # noqa: PLC0415 - heavy

    made = asyncio.run(_plan(settings_of(**options), request, modules))
    path = write_plan(made, output)
    if as_json:
        print_json({"path": str(path), "plan": made.model_dump(mode="json")})
    else:
        click.echo(str(path))


async def _plan(settings: Settings, request: str, modules: tuple[str, ...]) -> TodoList:
    model = make_model(settings)
    try:
        return await make_planner(settings, model, modules).plan(request)
    finally:
        await model.close()


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
    try:
        raw = plan.read_bytes()
    except OSError as error:
        raise InvalidInput(f"plan {plan}: {error.strerror}") from None
    checked = parse_plan(raw, PlanLimits(max_tasks=settings.max_tasks))
    name = asyncio.run(_submit(settings, checked, repo, workflow_id, wait_seconds))
    if as_json:
        print_json({"workflow_id": name})
    else:
        click.echo(name)


async def _submit(
    settings: Settings, plan: TodoList, repo: Path | None, workflow_id: str | None, wait_seconds: float
) -> str:
    base = None
    if repo is not None:
        artifacts = make_artifacts(settings)
        base = await artifacts.import_base(repo)
        await artifacts.close()
    async with opened_client(settings, create=True) as client:
        return await client.submit(plan, base_commit=base, workflow_id=workflow_id, wait_seconds=wait_seconds)

"""`multi-agent plan`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import click

from agents.sdk.registry import agent_info
from contracts.base.printing import print_json, print_line
from contracts.base.processes.command_lines import command_line
from contracts.documents.todo_list import TodoList
from multi_agent.application.plans import check_roles, read_plan
from multi_agent.bootstrap import check_model, find_agents, make_model, make_planner
from multi_agent.cli.options import agents_option, json_option, model_option, settings_of
from multi_agent.models import Asked
from multi_agent.settings import Settings
from planner_service.plan_file import write_plan

_FOLDER: Final = Path("plans")


@click.command()
@click.argument("request", required=False)
@click.option(
    "--check",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Check the plan in this file instead, without a model; exits 2 when something is wrong with it.",
)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=_FOLDER)
@model_option
@agents_option
@json_option
def plan(
    request: str | None,
    file: Path | None,
    output: Path,
    modules: tuple[str, ...],
    as_json: bool,
    **options: object,
) -> None:
    """Make a plan for REQUEST and write it to a folder (default: plans), or check one."""
    if (request is None) == (file is None):
        raise click.UsageError("say what to plan: a REQUEST, or --check FILE")
    settings = settings_of(**options)
    if file is not None:
        return _check(settings, file, modules, as_json=as_json)
    assert request is not None
    place = ("-o", str(output)) if output != _FOLDER else ()
    agents = [word for module in modules for word in ("--agents", module)]
    made = asyncio.run(_plan(settings, request, modules, command_line("plan", request, *place, *agents)))
    path = write_plan(made, output)
    if as_json:
        print_json({"path": str(path), "plan": made.model_dump(mode="json")})
    else:
        print_line(str(path))

    return None


def _check(settings: Settings, file: Path, modules: tuple[str, ...], *, as_json: bool) -> None:
    checked = read_plan(file, settings.max_tasks)
    served = {agent_info(found).role for found in find_agents(modules)}
    check_roles(checked, served, hint="--agents MODULE")
    if as_json:
        print_json({"path": str(file), "plan": checked.model_dump(mode="json")})
    else:
        print_line(f"{file}: a valid plan of {len(checked.items)} tasks")


async def _plan(settings: Settings, request: str, modules: tuple[str, ...], command: str) -> TodoList:
    model = make_model(settings)
    try:
        planner = make_planner(settings, model, modules)
        for line in await check_model(settings, Asked(planner.first_request(request), command)):
            print_line(line, err=True)
        return await planner.plan(request)
    finally:
        await model.close()

"""`multi-agent plan`."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Final

import click

from contracts.base.printing import print_json, print_line
from contracts.documents.todo_list import TodoList
from multi_agent.application.plans import make_plan
from multi_agent.bootstrap import check_model, make_model, make_planner
from multi_agent.cli.options import agents_option, json_option, model_option, settings_of
from multi_agent.models import Asked
from multi_agent.settings import Settings
from planner_service.plan_file import write_plan

_FOLDER: Final = Path("plans")


@click.command()
@click.argument("request")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=_FOLDER)
@model_option
@agents_option
@json_option
def plan(request: str, output: Path, modules: tuple[str, ...], as_json: bool, **options: object) -> None:
    """Make a plan for REQUEST and write it to a folder (default: plans)."""
    command = ["multi-agent", "plan", request, *(("-o", str(output)) if output != _FOLDER else ())]
    command += [word for module in modules for word in ("--agents", module)]
    made = asyncio.run(_plan(settings_of(**options), request, modules, shlex.join(command)))
    path = write_plan(made, output)
    if as_json:
        print_json({"path": str(path), "plan": made.model_dump(mode="json")})
    else:
        print_line(str(path))


async def _plan(settings: Settings, request: str, modules: tuple[str, ...], command: str) -> TodoList:
    model = make_model(settings)
    try:
        planner = make_planner(settings, model, modules)
        await check_model(settings, Asked(planner.first_request(request), command))
        return await make_plan(planner, request)
    finally:
        await model.close()

"""`multi-agent plan`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line
from contracts.documents.todo_list import TodoList
from multi_agent.application.plans import make_plan
from multi_agent.bootstrap import make_model, make_planner
from multi_agent.cli.options import agents_option, json_option, model_option, settings_of
from multi_agent.settings import Settings
from planner_service.plan_file import write_plan


@click.command()
@click.argument("request")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), default=Path("plans"))
@model_option
@agents_option
@json_option
def plan(request: str, output: Path, modules: tuple[str, ...], as_json: bool, **options: object) -> None:
    """Make a plan for REQUEST and write it to a folder (default: plans)."""
    made = asyncio.run(_plan(settings_of(**options), request, modules))
    path = write_plan(made, output)
    if as_json:
        print_json({"path": str(path), "plan": made.model_dump(mode="json")})
    else:
        print_line(str(path))


async def _plan(settings: Settings, request: str, modules: tuple[str, ...]) -> TodoList:
    model = make_model(settings)
    try:
        return await make_plan(make_planner(settings, model, modules), request)
    finally:
        await model.close()

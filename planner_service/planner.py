"""`python -m planner_service.planner REQUEST -o plans`: writes a plan for a request to a file.

Exit codes: 0 after printing the path of the file, 1 when no valid plan was made, 2 for wrong use or a missing
setting.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from contracts.base.errors import InvalidInput, InvalidPlan, MultiAgentError
from contracts.base.printing import print_line, print_text
from contracts.base.provided import SERVICES, load_service, provided
from contracts.documents.todo_list import TodoList
from planner_service.plan_file import write_plan
from planner_service.planning import Planner, PlannerSettings
from planner_service.request import check_request

__all__ = ["Planner", "PlannerSettings", "configured_planner", "main"]

__getattr__: Callable[[str], Any] = provided("planner_service", "PlannerService")


def configured_planner(group: str = SERVICES) -> Planner:
    """Call the entry point `planner` of the group and return the planner that it makes.

    Raises NotConfigured when there is no such entry point, or when its settings are missing.
    """
    planner: Planner = load_service("planner", group)()
    return planner


@click.command()
@click.argument("request")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("plans"),
    show_default=True,
    help="Folder for the plan.",
)
def main(request: str, output: Path) -> None:
    """Make a plan for REQUEST and print the path of its file."""
    try:
        check_request(request)
        print_line(str(write_plan(asyncio.run(_plan(configured_planner(), request)), output)))
    except MultiAgentError as error:
        print_text(f"Error: {error}", err=True)
        wrong_use = isinstance(error, InvalidInput) and not isinstance(error, InvalidPlan)
        sys.exit(2 if wrong_use else 1)


async def _plan(planner: Planner, request: str) -> TodoList:
    try:
        return await planner.plan(request)
    finally:
        await planner.close()


if __name__ == "__main__":
    main()

"""`multi-agent budget estimate`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.plans import read_plan
from multi_agent.application.spending.estimates import Estimate, RunUsage, estimate, runs_before
from multi_agent.bootstrap import cost_functions
from multi_agent.cli.options import data_dir_option, json_option, model_option, quiet_settings
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command("estimate")
@click.argument("plan", required=False, type=click.Path(dir_okay=False, path_type=Path))
@model_option
@data_dir_option
@json_option
def estimate_cost(plan: Path | None, as_json: bool, **options: object) -> None:
    """Say what a run, or the plan in file PLAN, will cost, by the newest runs that have ended.

    Nothing is asked of a model. It is no limit: give `run` or `submit` one with --budget.
    """
    settings = quiet_settings(**options)
    tasks = None if plan is None else len(read_plan(plan, settings.max_tasks).items)
    found = estimate(asyncio.run(_runs(settings)), tasks, cost_functions(settings))
    if as_json:
        print_json(asdict(found))
    elif not found.runs:
        print_line("no run has ended here yet, so there is nothing to go by; --budget limits what one spends")
    else:
        _show(found)


def _show(found: Estimate) -> None:
    for_what = "a run" if found.tasks is None else f"a plan of {found.tasks:,} tasks"
    tokens = f"likely {found.likely_tokens:,} tokens, {found.dearest_tokens:,} if it goes as the dearest did"
    print_line(f"{for_what}, by {found.runs:,} that ended: {tokens}")
    for one in found.models:
        if one.likely_usd is None or one.dearest_usd is None:
            print_line(f"{one.model}: price unknown; set MULTI_AGENT_INPUT_PRICE and _OUTPUT_PRICE")
        else:
            print_line(f"{one.model}: likely ${one.likely_usd:,.4f}, ${one.dearest_usd:,.4f} as the dearest")


async def _runs(settings: Settings) -> list[RunUsage]:
    async with open_client(settings) as client:
        return await runs_before(client)

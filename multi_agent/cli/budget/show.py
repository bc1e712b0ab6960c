"""`multi-agent budget show`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.spending.budgets import budget_state, day_sentence
from multi_agent.application.status import find_workflow
from multi_agent.application.waiting import pending_budgets
from multi_agent.cli.decisions.action_text import budget_line
from multi_agent.cli.options import data_dir_option, json_option, newest_workflow_argument, quiet_settings
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings
from orchestrator.client.views import WorkflowView


@click.command()
@newest_workflow_argument
@data_dir_option
@json_option
def show(workflow: str | None, as_json: bool, **options: object) -> None:
    """Show what WORKFLOW, by default the newest, may spend, has spent and needs next."""
    settings = quiet_settings(**options)
    view, day = asyncio.run(_read(settings, workflow))
    name, state = view.header.workflow_id, budget_state(view)
    if as_json:
        print_json(asdict(state) if state else {"workflow_id": name})
        return
    if state is None:
        print_line(f"{name}: no budget; nothing limits what it spends")
        return
    print_line(f"{name}: {state.sentence}")
    if state.reserved_usd or state.reserved_tokens:
        print_line(f"set aside for what runs: ${state.reserved_usd:,.4f}, {state.reserved_tokens:,} tokens")
    if day:
        print_line(day)
    if state.waiting:
        print_line(f"waits for budget: {', '.join(state.waiting)}")
        for line in dict.fromkeys(map(budget_line, pending_budgets(view))):
            print_line(line)


async def _read(settings: Settings, workflow: str | None) -> tuple[WorkflowView, str]:
    async with open_client(settings) as client:
        view = await find_workflow(client, workflow)
        return view, await day_sentence(client, settings.day_budget)

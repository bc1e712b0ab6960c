"""`multi-agent approvals list`."""

from __future__ import annotations

import asyncio

import click

from contracts.base.printing import print_json, print_line
from multi_agent.application.decisions import waiting_approvals
from multi_agent.application.waiting import PendingApproval
from multi_agent.cli.options import data_dir_option, json_option, quiet_settings, risk_option
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command("list")
@risk_option
@data_dir_option
@json_option
def list_approvals(risk: str, as_json: bool, **options: object) -> None:
    """List what waits for approval in the newest workflows, with the rule that asks and its risk."""
    found = asyncio.run(_read(quiet_settings(**options), risk))
    if as_json:
        print_json([_json(one) for one in found])
        return
    if not found:
        print_line("nothing waits for approval")
    for one in found:
        about = f"{one.workflow_id}  {one.task_id}  {one.action['action']}"
        print_line(f"{about}  {one.risk} risk, rule {one.rule}  hash {one.action_hash}")


def _json(one: PendingApproval) -> dict[str, object]:
    return {
        "workflow_id": one.workflow_id,
        "task_id": one.task_id,
        "action_hash": one.action_hash,
        "rule": one.rule,
        "risk": one.risk,
        "action": one.action,
    }


async def _read(settings: Settings, risk: str) -> list[PendingApproval]:
    async with open_client(settings) as client:
        return await waiting_approvals(client, risk)

"""`multi-agent reject`, and `multi-agent approvals reject`."""

from __future__ import annotations

import asyncio

import click

from multi_agent.application.approvals.shown_actions import ShownActions
from multi_agent.application.decisions import pending_approval
from multi_agent.application.decisions import reject as reject_action
from multi_agent.cli.options import (
    data_dir_option,
    newest_workflow_argument,
    settings_of,
    task_argument,
)
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from multi_agent.settings import Settings


@click.command()
@newest_workflow_argument
@task_argument
@click.option("--comment", "--reason", "reason", default="", help="Why; it is kept in the journal.")
@click.option("--hash", "expected", help="Refuse only the action that hashes to this.")
@data_dir_option
def reject(
    workflow: str | None, task: str | None, reason: str, expected: str | None, **options: object
) -> None:
    """Refuse TASK of WORKFLOW for ever, by default the only one that waits; what depends on it is blocked.

    When it is a call of an agent, the task goes on without it. When you were shown the action and it has
    changed since, nothing is refused.
    """
    asyncio.run(_reject(settings_of(**options), workflow, task, reason, expected))


async def _reject(
    settings: Settings, workflow: str | None, task: str | None, reason: str, expected: str | None
) -> None:
    async with open_client(settings) as client:
        pending = await pending_approval(client, workflow, task)
        seen = expected or ShownActions(settings.data).last(pending)
        result = await reject_action(client, pending, caller(), reason, expected_hash=seen)
    print_result(result, f"{pending.task_id} of {pending.workflow_id} is refused")

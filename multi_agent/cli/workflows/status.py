"""`multi-agent status`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict

import click

from contracts.base.printing import print_json, print_line
from contracts.base.processes.command_lines import command_line
from contracts.base.text import flowing
from multi_agent.application.approvals.shown_actions import ShownActions
from multi_agent.application.status import Overview, WorkflowDetails, overview, workflow_details
from multi_agent.application.waiting import PendingApproval
from multi_agent.cli.decisions.action_text import print_waiting
from multi_agent.cli.options import (
    data_dir_option,
    json_option,
    newest_workflow_argument,
    quiet_settings,
)
from multi_agent.cli.served_text import status_word, unserved_text
from multi_agent.cli.workflows.workflow_json import workflow_json
from multi_agent.runtime.observing.liveness import is_served
from multi_agent.runtime.services import open_services
from multi_agent.settings import Settings


@click.command()
@newest_workflow_argument
@click.option("--waiting", is_flag=True, help="Only what waits for a person, with the commands that decide.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@data_dir_option
@json_option
def status(workflow: str | None, waiting: bool, limit: int, as_json: bool, **options: object) -> None:
    """Show the newest workflows, or WORKFLOW (an unambiguous beginning or end of its id) with its tasks."""
    settings = quiet_settings(**options)
    if workflow is None:
        found = asyncio.run(_overview(settings, limit))
        if as_json:
            print_json(_waiting_json(found) if waiting else _overview_json(found))
        elif waiting:
            _print_waiting(found)
            ShownActions(settings.data).note(found.waiting)
        else:
            _print_overview(found)
        return
    if waiting:
        raise click.UsageError("--waiting is about all workflows; `status WORKFLOW` shows what waits in one")
    details = asyncio.run(_details(settings, workflow))
    if as_json:
        print_json(workflow_json(details.view))
    else:
        from multi_agent.cli.workflows.status_details import print_details  # noqa: PLC0415 - loads rich

        print_details(details)
        ShownActions(settings.data).note(details.waiting)


async def _overview(settings: Settings, limit: int) -> Overview:
    async with open_services(settings) as services:
        served = await is_served(settings, services.database)
        return await overview(services.client, limit, served=served)


async def _details(settings: Settings, name: str) -> WorkflowDetails:
    async with open_services(settings) as services:
        served = await is_served(settings, services.database)
        return await workflow_details(services.client, name, served=served)


def _overview_json(found: Overview) -> dict[str, object]:
    return {
        "workflows": [{**one.header._asdict(), "tasks": one.task_count} for one in found.workflows],
        "orchestrators": [asdict(one) for one in found.orchestrators],
        "workers": [asdict(one) for one in found.workers],
        "served": found.served,
        **_waiting_json(found),
    }


def _waiting_json(found: Overview) -> dict[str, object]:
    return {
        "waiting": [
            {"workflow_id": one.workflow_id, "task_id": one.task_id, "action_hash": one.action_hash}
            for one in found.approvals
        ],
        "questions": [
            {
                "workflow_id": one.workflow_id,
                "task_id": one.task_id,
                "question": one.question.text,
                "choices": list(one.question.choices),
                "question_hash": one.action_hash,
            }
            for one in found.questions
        ],
        "budgets": [
            {"workflow_id": one.workflow_id, "task_id": one.task_id, "reason": one.sentence}
            for one in found.budgets
        ],
        "dead_letters": [one.dead_letter_id for one in found.dead_letters],
    }


def _print_overview(found: Overview) -> None:
    if not found.workflows:
        ways = f"`{command_line('run', 'REQUEST')}` or `{command_line('submit', 'PLAN')}`"
        print_line(f"no workflow yet; start one with {ways}")
    for one in found.workflows:
        header, age = one.header, _age(one.header.created_at)
        size = f"{one.task_count} tasks"
        print_line(
            f"{header.workflow_id}  {status_word(header, served=found.served)}  {size}  {age}  "
            f"{flowing(header.request)[:60]}"
        )
    for orchestrator in found.orchestrators if found.served else ():
        if orchestrator.note:
            print_line(f"orchestrator {orchestrator.pid} on {orchestrator.host}: {orchestrator.note}")
    for worker in found.workers if found.served else ():
        roles = ", ".join(worker.roles)
        print_line(f"worker {worker.worker_id} on {worker.host}: {roles} ({worker.slots} slots)")
    if found.waiting or found.dead_letters:
        asked = f", {len(found.questions)} questions" if found.questions else ""
        asked += f", {len(found.budgets)} budgets" if found.budgets else ""
        what = f"{len(found.approvals)} approvals{asked}, {len(found.dead_letters)} dead letters"
        print_line(f"waits for a person: {what}; {command_line('status', '--waiting')}")
    if not found.served and not all(one.header.status.terminal for one in found.workflows):
        print_line(unserved_text())


def _print_waiting(found: Overview) -> None:
    if not found.waiting and not found.dead_letters:
        print_line("nothing waits for a person")
    for one in found.waiting:
        print_line(f"workflow {one.workflow_id}")
        print_waiting([one])
        if isinstance(one, PendingApproval):
            print_line(f"  refuse   {command_line('reject', one.workflow_id, one.task_id)}")
    for letter in found.dead_letters:
        command = command_line("dead-letters", "show", str(letter.dead_letter_id))
        print_line(f"dead letter {letter.dead_letter_id}: {flowing(letter.reason)[:100]}; {command}")


def _age(since: float) -> str:
    seconds = int(max(0.0, time.time() - since))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"

"""One workflow with its tasks, as `multi-agent status WORKFLOW` shows it."""

from __future__ import annotations

import click
from rich.console import Console

from contracts.base.refs import branch_name
from multi_agent.application.status import WorkflowDetails
from multi_agent.cli.workflows.screen import task_table


def print_details(details: WorkflowDetails) -> None:
    """Print the workflow, a table of its tasks, and what an operator can do about it."""
    view, header = details.view, details.view.header
    click.echo(
        f"{header.workflow_id}  {header.status.value}" + (f"  {header.reason}" if header.reason else "")
    )
    Console().print(task_table(view))
    if header.result_commit:
        click.echo(f"result {header.result_commit} on {branch_name(header.workflow_id)}")
    for task in view.waiting_for_approval:
        click.echo(f"waiting for approval: multi-agent approve {header.workflow_id} {task.task_id}")
    for one in details.dead_letters:
        click.echo(f"dead-lettered: {one.task_id}; multi-agent dead-letters show {one.dead_letter_id}")

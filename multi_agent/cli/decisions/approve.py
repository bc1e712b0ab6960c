"""`multi-agent approve`, and `multi-agent approvals approve`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from contracts.base.errors import InvalidInput
from contracts.base.printing import can_ask, confirm, print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.approvals.shown_actions import ShownActions
from multi_agent.application.decisions import approve as approve_action
from multi_agent.application.decisions import pending_approval, waiting_approvals
from multi_agent.application.waiting import PendingApproval
from multi_agent.cli import EXIT_DONE, EXIT_WAITING
from multi_agent.cli.decisions.action_text import approve_command, print_action, print_waiting
from multi_agent.cli.decisions.agreement import agreed
from multi_agent.cli.options import (
    all_option,
    comment_option,
    data_dir_option,
    newest_workflow_argument,
    risk_option,
    settings_of,
    task_argument,
)
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client
from orchestrator.client.workflow_client import WorkflowClient


@click.command()
@newest_workflow_argument
@task_argument
@click.option("--show", is_flag=True, help="Show what would be allowed, and do nothing.")
@click.option("--hash", "expected", help="Allow only the action that hashes to this (as --show prints it).")
@comment_option
@all_option
@risk_option
@data_dir_option
def approve(
    workflow: str | None, task: str | None, show: bool, every: bool, data_dir: Path | None, **how: str | None
) -> int:
    """Allow TASK of WORKFLOW, once, as you last saw it; by default the only one that waits.

    Without --hash it allows what `approvals show`, `status WORKFLOW`, `watch` or `run` last showed you. Where
    that was nothing, or something else, it shows the action and asks; where nobody can be asked it exits 2.
    """
    if every and (workflow or task or show or how["expected"]):
        raise click.UsageError("--all: names everything that waits; leave WORKFLOW, TASK, --show, --hash out")
    approving = _Approving(data_dir, how["comment"] or "")
    if every:
        return asyncio.run(approving.run_all(how["risk"] or ""))
    return asyncio.run(approving.run(workflow, task, how["expected"], show=show))


class _Approving:
    def __init__(self, data_dir: Path | None, comment: str) -> None:
        self._settings = settings_of(data_dir=data_dir)
        self._shown = ShownActions(self._settings.data)
        self._comment = comment

    async def run(self, workflow: str | None, task: str | None, expected: str | None, *, show: bool) -> int:
        """Show or approve one. Returns the exit code."""
        async with open_client(self._settings) as client:
            pending = await pending_approval(client, workflow, task)
            if show:
                print_action(pending)
                self._shown.note([pending])
                return EXIT_DONE
            if expected is None and not self._agreed(pending):
                return EXIT_WAITING
            await self._approve(client, pending, expected or pending.action_hash)
        return EXIT_DONE

    async def run_all(self, risk: str) -> int:
        """Approve all of at most this risk. Returns the exit code."""
        async with open_client(self._settings) as client:
            found = await waiting_approvals(client, risk)
            if not found:
                print_line("nothing waits for approval")
            if not self._all_agreed(found, risk):
                return EXIT_WAITING
            for pending in found:
                await self._approve(client, pending, pending.action_hash)
        return EXIT_DONE

    async def _approve(self, client: WorkflowClient, pending: PendingApproval, expected: str) -> None:
        result = await approve_action(
            client, pending, caller(), comment=self._comment, expected_hash=expected
        )
        print_result(result, f"{pending.task_id} of {pending.workflow_id} is allowed")

    def _agreed(self, pending: PendingApproval) -> bool:
        self._check_read(pending)
        command = approve_command(pending)
        return agreed(self._shown, pending, lambda: print_action(pending), "allow", command)

    def _all_agreed(self, found: list[PendingApproval], risk: str) -> bool:
        for pending in found:
            self._check_read(pending)
        new = [one for one in found if self._shown.last(one) != one.action_hash]
        if not new:
            return True
        print_waiting(new)
        if not can_ask():
            command = command_line("approvals", "show", "--all", "--risk", risk)
            raise InvalidInput(f"{len(new)} of {len(found)} were not shown to you yet; look: {command}")
        return confirm(f"allow exactly these, {len(found)} in all?")

    def _check_read(self, pending: PendingApproval) -> None:
        """Raise InvalidInput for a long action of which a page was not opened."""
        unread = self._shown.unread(pending)
        if unread is None:
            return
        command = command_line(
            "approvals", "show", pending.workflow_id, pending.task_id, "--page", str(unread)
        )
        raise InvalidInput(f"task {pending.task_id}: page {unread} was not shown to you yet: {command}")

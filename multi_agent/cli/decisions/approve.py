"""`multi-agent approve`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from multi_agent.application.decisions import approve as approve_task
from multi_agent.application.decisions import pending_approval
from multi_agent.application.shown_actions import ShownActions
from multi_agent.application.waiting import PendingApproval
from multi_agent.cli import EXIT_DONE, EXIT_WAITING
from multi_agent.cli.decisions.action_text import approve_command, print_action
from multi_agent.cli.decisions.agreement import agreed
from multi_agent.cli.options import data_dir_option, settings_of, task_argument, workflow_argument
from multi_agent.cli.output import caller, print_result
from multi_agent.runtime.services import open_client


@click.command()
@workflow_argument
@task_argument
@click.option("--show", is_flag=True, help="Show what would be allowed, and do nothing.")
@click.option("--hash", "expected", help="Allow only the action that hashes to this (as --show prints it).")
@data_dir_option
def approve(workflow: str, task: str | None, show: bool, expected: str | None, data_dir: Path | None) -> int:
    """Allow TASK of WORKFLOW as you last saw it; without TASK, the only one that waits.

    Without --hash it allows what `approve --show`, `status WORKFLOW`, `watch` or `run` last showed you. Where
    that was nothing, or something else, it shows the action and asks; where nobody can be asked it exits 2.
    """
    return asyncio.run(_Approving(data_dir).run(workflow, task, expected, show=show))


class _Approving:
    def __init__(self, data_dir: Path | None) -> None:
        self._settings = settings_of(data_dir=data_dir)
        self._shown = ShownActions(self._settings.data)

    async def run(self, workflow: str, task: str | None, expected: str | None, *, show: bool) -> int:
        """Show or approve. Returns the exit code."""
        async with open_client(self._settings) as client:
            pending = await pending_approval(client, workflow, task)
            if show:
                print_action(pending)
                self._shown.note([pending])
                return EXIT_DONE
            if expected is None and not self._agreed(pending):
                return EXIT_WAITING
            result = await approve_task(
                client, pending, caller(), expected_hash=expected or pending.action_hash
            )
        print_result(result, f"{pending.item.task_id} of {pending.workflow_id} is allowed")
        return EXIT_DONE

    def _agreed(self, pending: PendingApproval) -> bool:
        command = approve_command(pending)
        return agreed(self._shown, pending, lambda: print_action(pending), "allow", command)

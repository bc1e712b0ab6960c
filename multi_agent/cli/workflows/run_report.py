"""What `multi-agent run` prints at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from contracts.base.printing import print_json, print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.ends.results import OfferedWork
from multi_agent.application.ends.summary import FinishedRun, Summary
from multi_agent.application.waiting import pending
from multi_agent.cli import EXIT_DONE, EXIT_FAILED, EXIT_WAITING
from multi_agent.cli.decisions.action_text import print_waiting
from multi_agent.cli.workflows.offer_text import offer_lines, take_lines
from multi_agent.cli.workflows.summary_text import summary_lines
from orchestrator.core.state import WorkflowStatus


def report(finished: FinishedRun, repo: Path | None, *, as_json: bool, again: Sequence[str] = ()) -> int:
    """Print what the run amounts to, or what a person must decide. Returns the exit code.

    again: options with which whoever resumes it works alike.
    """
    summary = finished.summary
    approvals, questions = finished.waiting_for_approval, finished.waiting_for_answer
    budgets = finished.waiting_for_budget
    waiting, offered = (*approvals, *questions, *budgets), finished.offered
    if as_json:
        unverified = asdict(offered) if offered else None
        print_json(
            {
                **summary.as_json(),
                "waiting_for_approval": list(approvals),
                "waiting_for_answer": list(questions),
                "waiting_for_budget": list(budgets),
                "unverified": unverified,
                "test_commands": list(finished.test_commands),
            }
        )
    elif waiting:
        print_line()
        print_waiting(pending(finished.view))
        print_line(f"  go on    {command_line('run', '--resume', summary.workflow_id, *again)}")
    else:
        more = [*(offer_lines(offered) if offered else ()), *_test_lines(finished.test_commands)]
        for line in [*summary_lines(summary), *more, *_next_steps(summary, offered, repo)]:
            print_line(line)
    if waiting:
        return EXIT_WAITING
    return EXIT_DONE if summary.status == WorkflowStatus.COMPLETED.value else EXIT_FAILED


def _test_lines(commands: Sequence[str]) -> list[str]:
    return [f"  {'' if number else 'test it':10} {command}" for number, command in enumerate(commands)]


def _next_steps(summary: Summary, offered: OfferedWork | None, repo: Path | None) -> list[str]:
    name = summary.workflow_id
    take = take_lines(name, repo) if offered or summary.branch else []
    if summary.status == WorkflowStatus.COMPLETED.value and take:
        return take
    again = [f"  try again  {command_line('retry', name, '--fresh')}"] if offered else []
    return [*take, *again, f"  look       {command_line('events', name)}"]

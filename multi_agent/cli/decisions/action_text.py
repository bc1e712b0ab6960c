"""How what waits for a person is shown: whole, with the hash that stands for it."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.base.errors import InvalidInput
from contracts.base.printing import print_line, print_text
from contracts.base.processes.command_lines import command_line
from multi_agent.application.approvals.pages import pages_of
from multi_agent.application.waiting import Pending, PendingApproval, PendingBudget, PendingQuestion
from multi_agent.cli.decisions.question_text import print_waiting_question
from orchestrator.diagnosis.remedies import budget_command


def print_action(approval: PendingApproval, number: int = 1) -> None:
    """Print a page of all that the hash covers, and the hash last.

    Raises InvalidInput for a page that it does not have.
    """
    pages = pages_of(approval.action)
    if not 1 <= number <= len(pages):
        raise InvalidInput(f"--page {number}: the action has {len(pages)}; give one of them")
    print_text(pages[number - 1].removesuffix("\n"))
    if len(pages) > 1:
        print_line(f"page {number} of {len(pages)}; {_others(approval, number, len(pages))}")
    print_line(f"hash {approval.action_hash}")


def _others(approval: PendingApproval, number: int, count: int) -> str:
    following = number % count + 1
    command = command_line(
        "approvals", "show", approval.workflow_id, approval.task_id, "--page", str(following)
    )
    return f"all must be read, the next: {command}"


def print_waiting(waiting: Iterable[Pending]) -> None:
    """Print all that waits for a person, each with the command that decides."""
    for one in waiting:
        if isinstance(one, PendingQuestion):
            print_waiting_question(one)
            continue
        if isinstance(one, PendingBudget):
            print_line(f"waits for budget: {one.task_id}: {one.sentence}")
            print_line(budget_line(one))
            continue
        print_line(f"waiting for approval: {one.task_id}")
        print_action(one)
        print_line(f"  allow    {approve_command(one)}")


def budget_line(one: PendingBudget) -> str:
    """The command for a task that waits for more to spend."""
    return f"  {'raise' if one.enough else 'cancel':8} {budget_command(one.workflow_id, one.enough)}"


def approve_command(approval: PendingApproval) -> str:
    """The command that allows exactly this action; a long one must be read first."""
    bound = ("--hash", approval.action_hash) if len(pages_of(approval.action)) == 1 else ()
    return command_line("approve", approval.workflow_id, approval.task_id, *bound)

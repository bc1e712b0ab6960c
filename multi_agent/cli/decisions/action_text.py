"""How what waits for a person is shown: whole, with the hash that stands for it."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.base.printing import print_json, print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.waiting import Pending, PendingApproval, PendingBudget, PendingQuestion
from multi_agent.cli.decisions.question_text import print_waiting_question
from orchestrator.diagnosis.remedies import budget_command


def print_action(approval: PendingApproval) -> None:
    """Print everything that the hash covers, and the hash last."""
    print_json(approval.item.model_dump(mode="json", exclude_defaults=True))
    for commit in approval.parents:
        print_line(f"starts from {commit}")
    print_line(f"hash {approval.action_hash}")


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
        print_line(f"waiting for approval: {one.item.task_id}")
        print_action(one)
        print_line(f"  allow    {approve_command(one)}")


def budget_line(one: PendingBudget) -> str:
    """The command for a task that waits for more to spend."""
    return f"  {'raise' if one.enough else 'cancel':8} {budget_command(one.workflow_id, one.enough)}"


def approve_command(approval: PendingApproval) -> str:
    """The command that allows exactly this action."""
    return command_line(
        "approve", approval.workflow_id, approval.item.task_id, "--hash", approval.action_hash
    )

"""How an action that waits for approval is shown: whole, with the hash that stands for it."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.base.printing import print_json, print_line
from contracts.base.processes.command_lines import command_line
from multi_agent.application.waiting import PendingApproval


def print_action(approval: PendingApproval) -> None:
    """Print everything that the hash covers, and the hash last."""
    print_json(approval.item.model_dump(mode="json", exclude_defaults=True))
    for commit in approval.parents:
        print_line(f"starts from {commit}")
    print_line(f"hash {approval.action_hash}")


def print_waiting(approvals: Iterable[PendingApproval]) -> None:
    """Print each task that waits, and the command that allows it."""
    for one in approvals:
        print_line(f"waiting for approval: {one.item.task_id}")
        print_action(one)
        print_line(f"  allow    {approve_command(one)}")


def approve_command(approval: PendingApproval) -> str:
    """The command that allows exactly this action."""
    return command_line(
        "approve", approval.workflow_id, approval.item.task_id, "--hash", approval.action_hash
    )

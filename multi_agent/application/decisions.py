"""What operators decide about workflows, tasks and dead letters, and what the orchestrator answers.

A function that returns a CommandResult waits for it for a few seconds, and returns None when no
orchestrator has applied the command by then: it stays queued. Workflows are named by an unambiguous
beginning or end of their ids. `person` is who decides. All raise InvalidInput for what does not exist.
"""

from __future__ import annotations

from contracts.base.errors import InvalidInput
from contracts.base.processes.command_lines import command_line
from multi_agent.application.approvals import PendingApproval, pending_approvals
from multi_agent.application.status import find_workflow
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.command_result import CommandResult

RESULT_SECONDS = 5.0
"""How long a result is waited for."""


async def pending_approval(client: WorkflowClient, workflow: str, task_id: str | None) -> PendingApproval:
    """Find the task that waits for approval; without `task_id`, the only one.

    Raises InvalidInput when that one does not wait, or when several do and none is named.
    """
    view = await find_workflow(client, workflow)
    waiting = {one.item.task_id: one for one in pending_approvals(view)}
    if task_id is None and len(waiting) == 1:
        [task_id] = waiting
    if task_id not in waiting:
        names = ", ".join(waiting) or "none"
        raise InvalidInput(
            f"tasks of {view.header.workflow_id} that wait for approval: {names}; name one of them"
        )
    return waiting[task_id]


async def approve(
    client: WorkflowClient, approval: PendingApproval, person: str, *, expected_hash: str | None = None
) -> CommandResult | None:
    """Allow exactly this action. Raises InvalidInput when it does not hash to `expected_hash`."""
    _check_hash(approval, expected_hash)
    task_id = approval.item.task_id
    command_id = await client.approve(approval.workflow_id, task_id, approval.action_hash, person)
    return await client.result(command_id, RESULT_SECONDS)


async def reject(
    client: WorkflowClient,
    approval: PendingApproval,
    person: str,
    reason: str,
    *,
    expected_hash: str | None = None,
) -> CommandResult | None:
    """Refuse a task that waits for approval; tasks that depend on it are blocked.

    With `expected_hash` only as it hashes to that, else as it stands when the command is applied. Raises
    InvalidInput when it does not hash to it.
    """
    _check_hash(approval, expected_hash)
    command_id = await client.reject(
        approval.workflow_id, approval.item.task_id, person, reason, action_hash=expected_hash
    )
    return await client.result(command_id, RESULT_SECONDS)


def _check_hash(approval: PendingApproval, expected: str | None) -> None:
    task_id, found = approval.item.task_id, approval.action_hash
    if expected not in {None, found}:
        command = command_line("approve", approval.workflow_id, task_id, "--show")
        raise InvalidInput(
            f"task {task_id} hashes to {found}, not to {expected}; look at it again with `{command}`"
        )


async def cancel(client: WorkflowClient, workflow_id: str, person: str) -> CommandResult | None:
    """End the workflow of this id; what its tasks have committed stays."""
    command_id = await client.cancel(workflow_id, person)
    return await client.result(command_id, RESULT_SECONDS)


async def retry(
    client: WorkflowClient, workflow_id: str, task_id: str | None, person: str
) -> CommandResult | None:
    """Give fresh attempts to one failed task of the workflow of this id, or to all when `task_id` is None."""
    command_id = await client.retry(workflow_id, task_id, person)
    return await client.result(command_id, RESULT_SECONDS)


async def retry_dead_letter(client: WorkflowClient, dead_letter_id: int, person: str) -> CommandResult | None:
    """Give the task of a dead letter fresh attempts, or publish its message again."""
    command_id = await client.retry_dead_letter(dead_letter_id, person)
    return await client.result(command_id, RESULT_SECONDS)


async def discard_dead_letter(
    client: WorkflowClient, dead_letter_id: int, person: str
) -> CommandResult | None:
    """Close a dead letter; nothing else changes."""
    command_id = await client.discard_dead_letter(dead_letter_id, person)
    return await client.result(command_id, RESULT_SECONDS)

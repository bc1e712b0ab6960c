"""Journal events about approvals; see contracts.messages.journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias


class TaskApproved(NamedTuple):
    """A person allowed the action with this hash, once."""

    task_id: str
    person: str
    action_hash: str
    comment: str | None = None


class TaskRejected(NamedTuple):
    """A person refused a call that the task's agent wanted to make; the task goes on without it."""

    task_id: str
    person: str
    action_hash: str
    reason: str


class ApprovalAsked(NamedTuple):
    """The task waits outside any slot until a person allows exactly what it is about to do."""

    task_id: str
    reason: str
    """Why an earlier approval does not count, or what its agent wants to do; "" for the first of the task."""


class ApprovalUsed(NamedTuple):
    """A dispatch used an approval up, in the transaction that made the dispatch."""

    task_id: str
    action_hash: str
    dispatch_id: str


ApprovalEvent: TypeAlias = TaskApproved | TaskRejected | ApprovalAsked | ApprovalUsed

APPROVAL_EVENTS: Final[Mapping[str, type[ApprovalEvent]]] = {
    "task.approved": TaskApproved,
    "task.call_rejected": TaskRejected,
    "approval.asked": ApprovalAsked,
    "approval.used": ApprovalUsed,
}
"""The type of each kind."""

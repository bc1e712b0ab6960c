"""What people want to be told of while they do something else: ends of workflows, and questions to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from contracts.messages.journal import WorkflowCompleted, WorkflowFailed
from multi_agent.application.waiting import Pending, PendingApproval, PendingBudget, pending
from orchestrator.client.views import JournalEntry, WorkflowView
from orchestrator.client.workflow_client import WorkflowClient

_LATE: Final = 500
"""Entries of several orchestrators become visible in another order than they are numbered in."""
_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a person may want to know at once."""

    event: str
    """workflow.completed, workflow.failed, approval.waiting, question.waiting or budget.waiting."""
    workflow_id: str
    task_id: str | None = None
    """The task that waits for approval, asks, or needs more to spend."""
    reason: str = ""
    """Why it failed, or what it needs."""
    question: str = ""
    """What it asks."""


class Notices:
    """Finds what is new since the last look. Every method raises StoreUnavailable during an outage."""

    def __init__(self, client: WorkflowClient) -> None:
        self._client = client
        self._after = 0
        self._known_ends: set[int] = set()
        self._known_questions: frozenset[str] = frozenset()

    async def begin(self) -> None:
        """What has ended until now is not new."""
        self._after = await self._client.last_sequence()
        await self._ends()

    async def new(self) -> list[Notice]:
        """What is new; a question that nobody answered yet is at the first look."""
        return [*await self._ends(), *self._questions(await self._client.waiting())]

    async def _ends(self) -> list[Notice]:
        found = []
        after = max(self._after - _LATE, 0)
        while entries := await self._client.events(None, after, limit=_MOST):
            after = entries[-1].sequence
            for entry in entries:
                notice = _end(entry)
                if notice is not None and entry.sequence not in self._known_ends:
                    self._known_ends.add(entry.sequence)
                    found.append(notice)
        self._after = max(self._after, after)
        self._known_ends = {one for one in self._known_ends if one >= self._after - _LATE}
        return found

    def _questions(self, views: Sequence[WorkflowView]) -> list[Notice]:
        asked = {one.action_hash: one for view in views for one in pending(view)}
        new = [one for name, one in asked.items() if name not in self._known_questions]
        self._known_questions = frozenset(asked)
        return [_question(one) for one in new]


def _question(one: Pending) -> Notice:
    if isinstance(one, PendingApproval):
        return Notice("approval.waiting", one.workflow_id, one.task_id)
    if isinstance(one, PendingBudget):
        return Notice("budget.waiting", one.workflow_id, one.task_id, reason=one.sentence)
    return Notice("question.waiting", one.workflow_id, one.task_id, question=one.question.text)


def _end(entry: JournalEntry) -> Notice | None:
    match entry.event:
        case WorkflowCompleted():
            return Notice("workflow.completed", entry.workflow_id)
        case WorkflowFailed(reason=reason):
            return Notice("workflow.failed", entry.workflow_id, reason=reason)
        case _:
            return None

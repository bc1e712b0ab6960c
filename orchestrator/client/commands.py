"""Appending commands, and waiting for what became of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping

from contracts.base.errors import Busy
from contracts.base.processes.users import user_name
from contracts.documents.repository_settings import RepositorySettings
from contracts.documents.todo_list import TodoList
from contracts.messages.budget import SpendingLimits
from contracts.messages.payloads import Usage
from orchestrator.client.queries import WorkflowQueries
from orchestrator.core.audit.entries import Actor, Via
from orchestrator.core.commands import (
    USUAL_TERMS,
    AnswerBody,
    ApproveBody,
    Body,
    BudgetBody,
    CancelBody,
    CommandResult,
    DiscardDeadLetterBody,
    RejectBody,
    RetryBody,
    RetryDeadLetterBody,
    SubmitBody,
    Terms,
    check_name,
)
from orchestrator.storage.admission import MAX_OPEN_WORKFLOWS
from orchestrator.storage.command_rows import append_commands, read_result
from orchestrator.storage.spending.day_budget import DaySpending, day_spending
from orchestrator.storage.sql.database import Database

POLL_SECONDS = 0.1
ROOM_SECONDS = 1.0

Hint = Callable[[str], Awaitable[None]]
"""Called with the id of one appended command, to wake an orchestrator. A lost hint costs a second."""


class WorkflowCommands:
    """Appends commands. A command is applied once, by the orchestrator that owns the workflow's shard.

    Every method raises StoreUnavailable during an outage; whether the command was stored is then unknown.
    """

    def __init__(
        self,
        database: Database,
        hint: Hint | None = None,
        *,
        max_open: int = MAX_OPEN_WORKFLOWS,
        via: Via = Via.PROGRAM,
        day_usd: float | None = None,
    ) -> None:
        """`max_open`: how many workflows may be open or queued at once (I9). `via`: who uses it.

        day_usd: what all workflows may spend on a day of UTC together, None for no limit; submissions, raises
            and retries beyond it raise Busy, and of a workflow without a limit of its own InvalidInput.
        """
        self._day_usd = day_usd
        self._database = database
        self._hint = hint
        self._max_open = max_open
        self._via = via

    async def submit(
        self,
        plan: TodoList,
        *,
        base_commit: str | None = None,
        workflow_id: str | None = None,
        wait_seconds: float = 0.0,
        planning: Usage | None = None,
        repository: RepositorySettings | None = None,
        terms: Terms = USUAL_TERMS,
    ) -> str:
        """Queue a workflow and return its id; the same `workflow_id` again is the same workflow.

        `planning` is what making the plan consumed, `repository` what the base says about work in it,
        `terms` what its agents may do. Raises Busy when too many are open and none has ended within
        `wait_seconds`, and InvalidInput for an id that cannot be one.
        """
        name = workflow_id if workflow_id is not None else new_workflow_id(plan)
        body = SubmitBody(
            plan=plan,
            base_commit=base_commit,
            planning=planning,
            repository=repository,
            **terms._asdict(),
        )
        await self._submit({name: body}, wait_seconds)
        return name

    async def submit_all(
        self, plans: Mapping[str, TodoList], *, base_commit: str | None = None, wait_seconds: float = 0.0
    ) -> None:
        """Queue workflows by id in one transaction: all that are new, or none. Raises as `submit`."""
        bodies = {name: SubmitBody(plan=plan, base_commit=base_commit) for name, plan in plans.items()}
        await self._submit(bodies, wait_seconds)

    async def _submit(self, bodies: Mapping[str, SubmitBody], wait_seconds: float) -> None:
        commands: dict[str, tuple[str, Body]] = {
            f"submit-{check_name(name)}": (name, body) for name, body in bodies.items()
        }
        until = time.monotonic() + wait_seconds
        while True:
            try:
                return await self._append(commands, max_open=self._max_open)
            except Busy:
                left = until - time.monotonic()
                if left <= 0:
                    raise
                await asyncio.sleep(min(left, ROOM_SECONDS))

    async def approve(
        self, workflow_id: str, task_id: str, action_hash: str, person: str, *, comment: str = ""
    ) -> str:
        """Allow exactly the action that hashes to `action_hash`, once. Returns the command's id."""
        body = ApproveBody(task_id=task_id, action_hash=action_hash, person=person, comment=comment)
        return await self._append_one(workflow_id, body)

    async def reject(
        self, workflow_id: str, task_id: str, person: str, reason: str, *, action_hash: str | None = None
    ) -> str:
        """Refuse a task that waits for approval, with a hash only that action. Returns the command's id."""
        body = RejectBody(task_id=task_id, person=person, reason=reason, action_hash=action_hash)
        return await self._append_one(workflow_id, body)

    async def answer(self, workflow_id: str, task_id: str, question_hash: str, text: str, person: str) -> str:
        """Answer exactly the question that hashes to `question_hash`. Returns the command's id."""
        body = AnswerBody(task_id=task_id, question_hash=question_hash, text=text, person=person)
        return await self._append_one(workflow_id, body)

    async def raise_budget(self, workflow_id: str, limits: SpendingLimits, person: str) -> str:
        """Raise what a workflow may spend, in all. Returns the command's id."""
        return await self._append_one(workflow_id, BudgetBody(limits=limits, person=person))

    async def cancel(self, workflow_id: str, person: str) -> str:
        """End a workflow. Returns the command's id."""
        return await self._append_one(workflow_id, CancelBody(person=person))

    async def retry(self, workflow_id: str, task_id: str | None, person: str, *, fresh: bool = False) -> str:
        """Give fresh attempts to one failed task, or to all when None. Returns the command's id.

        fresh: what said "failed" gets another fix instead.
        """
        return await self._append_one(workflow_id, RetryBody(task_id=task_id, person=person, fresh=fresh))

    async def retry_dead_letter(self, dead_letter_id: int, person: str) -> str:
        """Retry the task, or publish the message again. Returns the command's id. Raises InvalidInput."""
        body = RetryDeadLetterBody(dead_letter_id=dead_letter_id, person=person)
        return await self._append_one(await self._shard_key(dead_letter_id), body)

    async def discard_dead_letter(self, dead_letter_id: int, person: str) -> str:
        """Close a dead letter. Returns the command's id. Raises InvalidInput."""
        body = DiscardDeadLetterBody(dead_letter_id=dead_letter_id, person=person)
        return await self._append_one(await self._shard_key(dead_letter_id), body)

    async def day_spending(self) -> DaySpending:
        """What is gone of what all workflows may spend today."""
        now = time.time()
        return await self._database.read(lambda connection: day_spending(connection, now))

    async def result(self, command_id: str, wait_seconds: float) -> CommandResult | None:
        """What became of a command; None when it was not applied within `wait_seconds` (it stays queued)."""
        until = time.monotonic() + wait_seconds
        while True:
            found = await self._database.read(lambda connection: read_result(connection, command_id))
            if found is not None or time.monotonic() > until:
                return found
            await asyncio.sleep(POLL_SECONDS)

    async def _shard_key(self, dead_letter_id: int) -> str:
        return (await WorkflowQueries(self._database).dead_letter(dead_letter_id)).shard_key

    async def _append_one(self, workflow_id: str, body: Body) -> str:
        command_id = uuid.uuid4().hex
        await self._append({command_id: (workflow_id, body)})
        return command_id

    async def _append(self, commands: Mapping[str, tuple[str, Body]], *, max_open: int | None = None) -> None:
        """Store (workflow id, body) by command id, unless the id is known."""
        now, actor, day = time.time(), Actor(user_name(), self._via), self._day_usd
        await self._database.write(
            lambda connection: append_commands(connection, commands, now, max_open, actor, day),
            durable=True,
        )
        if self._hint is not None and commands:
            await self._hint(next(iter(commands)))


def new_workflow_id(plan: TodoList) -> str:
    """Make one that is short enough to type and long enough to recognise."""
    words = plan.todo_list_id[:32]
    if len(plan.todo_list_id) > len(words):
        words = words.rpartition("-")[0] or words
    return f"{words.rstrip('-._')}-{uuid.uuid4().hex[:6]}"

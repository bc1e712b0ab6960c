"""What the command line and other programs may do with the database: append commands, and read."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, union

from contracts.base.errors import Busy, InvalidInput
from contracts.documents.todo_list import TodoList
from orchestrator.client.database_retry import DatabaseRetry
from orchestrator.client.views import JournalEntry, WorkflowView
from orchestrator.core.commands import (
    ApproveBody,
    Body,
    CancelBody,
    DiscardDeadLetterBody,
    RejectBody,
    RetryBody,
    RetryDeadLetterBody,
    SubmitBody,
    body_text,
    check_name,
)
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import Header
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.storage import tables as t
from orchestrator.storage.admission import MAX_OPEN_WORKFLOWS, check_room
from orchestrator.storage.dead_letters import read_dead_letter, read_dead_letters
from orchestrator.storage.loading import read_sizes, read_workflow
from orchestrator.storage.rows import read_header
from orchestrator.storage.sql.database import Database

POLL_SECONDS = 0.1
ROOM_SECONDS = 1.0


class WorkflowClient:
    """Appends commands and reads state; never changes state itself.

    `hint` is called after a command was stored, to wake the owner up; losing the hint only costs a second.
    max_open: workflows that may be open or queued at once (I9).
    """

    def __init__(
        self,
        database: Database,
        hint: Callable[[str], Any] | None = None,
        *,
        max_open: int = MAX_OPEN_WORKFLOWS,
    ) -> None:
        self._database = database
        self._hint = hint
        self._max_open = max_open

    async def submit(
        self,
        plan: TodoList,
        *,
        base_commit: str | None = None,
        workflow_id: str | None = None,
        wait_seconds: float = 0.0,
    ) -> str:
        """Start a workflow; with the same `workflow_id` again it is the same workflow. Returns its id.

        Raises Busy when too many are open and none has ended within `wait_seconds`.
        """
        name = workflow_id if workflow_id is not None else _new_name(plan.todo_list_id)
        await self.submit_all({name: plan}, base_commit=base_commit, wait_seconds=wait_seconds)
        return name

    async def submit_all(
        self, plans: Mapping[str, TodoList], *, base_commit: str | None = None, wait_seconds: float = 0.0
    ) -> None:
        """Start many workflows, by id, in one transaction: all that are new, or none. Raises as `submit`."""
        bodies = [
            (f"submit-{check_name(name)}", name, SubmitBody(plan=plan, base_commit=base_commit))
            for name, plan in plans.items()
        ]
        until = time.monotonic() + wait_seconds
        while True:
            try:
                return await self._append(bodies, max_open=self._max_open)
            except Busy:
                left = until - time.monotonic()
                if left <= 0:
                    raise
                await asyncio.sleep(min(left, ROOM_SECONDS))

    async def approve(self, workflow_id: str, task_id: str, action_hash: str, person: str) -> str:
        """Allow exactly the action that hashes to `action_hash`. Returns the command's id."""
        body = ApproveBody(task_id=task_id, action_hash=action_hash, person=person)
        return await self._append_one(workflow_id, body)

    async def reject(self, workflow_id: str, task_id: str, person: str, reason: str) -> str:
        """Refuse a task that waits for approval. Returns the command's id."""
        body = RejectBody(task_id=task_id, person=person, reason=reason)
        return await self._append_one(workflow_id, body)

    async def cancel(self, workflow_id: str, person: str) -> str:
        """End a workflow. Returns the command's id."""
        return await self._append_one(workflow_id, CancelBody(person=person))

    async def retry(self, workflow_id: str, task_id: str | None, person: str) -> str:
        """Try failed tasks again, all or one. Returns the command's id."""
        return await self._append_one(workflow_id, RetryBody(task_id=task_id, person=person))

    async def dead_letters(
        self, *, resolved: bool = False, workflow_id: str | None = None, limit: int = 100
    ) -> list[StoredDeadLetter]:
        """The newest open dead letters, or all, of one workflow or of all, oldest first."""

        def body(connection: Connection) -> list[StoredDeadLetter]:
            return read_dead_letters(connection, resolved=resolved, workflow_id=workflow_id, limit=limit)

        return await self._database.read(body)

    async def dead_letter(self, dead_letter_id: int) -> StoredDeadLetter:
        """One dead letter. Raises InvalidInput when there is none of that number."""
        found = await self._database.read(lambda connection: read_dead_letter(connection, dead_letter_id))
        if found is None:
            raise InvalidInput(f"there is no dead letter {dead_letter_id}; `multi-agent dead-letters list`")
        return found

    async def retry_dead_letter(self, dead_letter_id: int, person: str) -> str:
        """Retry the task, or publish the message again. Returns the command's id. Raises InvalidInput."""
        letter = await self.dead_letter(dead_letter_id)
        body = RetryDeadLetterBody(dead_letter_id=dead_letter_id, person=person)
        return await self._append_one(letter.shard_key, body)

    async def discard_dead_letter(self, dead_letter_id: int, person: str) -> str:
        """Close a dead letter. Returns the command's id. Raises InvalidInput."""
        letter = await self.dead_letter(dead_letter_id)
        body = DiscardDeadLetterBody(dead_letter_id=dead_letter_id, person=person)
        return await self._append_one(letter.shard_key, body)

    async def answer(self, command_id: str, wait_seconds: float) -> str | None:
        """The owner's answer, or None when it did not come in time (the command stays in the queue)."""
        query = select(t.commands.c.answer).where(t.commands.c.command_id == command_id)
        until = time.monotonic() + wait_seconds
        while True:
            found = await self._database.read(lambda connection: connection.execute(query).scalar_one())
            if found is not None or time.monotonic() > until:
                return str(found) if found is not None else None
            await asyncio.sleep(POLL_SECONDS)

    async def has_waiting_commands(self, workflow_id: str) -> bool:
        """Whether somebody has asked for something that the owner has not taken up yet."""
        c = t.commands.c
        query = select(c.command_id).where(c.workflow_id == workflow_id, c.applied_at.is_(None)).limit(1)
        return await self._database.read(lambda connection: connection.execute(query).first() is not None)

    async def _append(self, bodies: Sequence[tuple[str, str, Body]], *, max_open: int | None = None) -> None:
        """Store (command id, workflow, body) unless the id is known. Busy above `max_open` workflows."""
        now = time.time()
        rows = {
            command_id: {
                "command_id": command_id,
                "kind": body.kind,
                "workflow_id": workflow_id,
                "shard": shard_of(workflow_id),
                "body": body_text(body),
                "created_at": now,
            }
            for command_id, workflow_id, body in bodies
        }

        def write(connection: Connection) -> None:
            query = select(t.commands.c.command_id).where(t.commands.c.command_id.in_(rows))
            known = set(connection.execute(query).scalars())
            new = [row for command_id, row in rows.items() if command_id not in known]
            if new and max_open is not None:
                check_room(connection, max_open, len(new))
            if new:
                connection.execute(insert(t.commands), new)

        await self._database.write(write, durable=True)
        if self._hint is not None:
            await self._hint(bodies[-1][0])

    async def _append_one(self, workflow_id: str, body: Body) -> str:
        command_id = uuid.uuid4().hex
        await self._append([(command_id, workflow_id, body)])
        return command_id

    async def workflow(self, workflow_id: str) -> WorkflowView | None:
        """One workflow, or None; a submitted one appears once the owner has taken it up."""
        found = await self._database.read(lambda connection: read_workflow(connection, workflow_id))
        return WorkflowView(found.header, tuple(found.tasks.values())) if found else None

    async def workflows(self, limit: int = 20) -> list[tuple[Header, int]]:
        """The newest workflows, each with its number of tasks."""
        newest = select(t.workflows).order_by(t.workflows.c.created_at.desc()).limit(limit)

        def body(connection: Connection) -> list[tuple[Header, int]]:
            headers = [read_header(row) for row in connection.execute(newest).mappings()]
            sizes = read_sizes(connection, [header.workflow_id for header in headers])
            return [(header, sizes[header.workflow_id]) for header in headers]

        return await self._database.read(body)

    async def resolve(self, name: str | None) -> str:
        """A workflow's full id from an unambiguous start of it; the newest when None. Raises InvalidInput.

        Workflows that are submitted and not yet taken up count too.
        """
        w, c = t.workflows.c, t.commands.c
        queued = select(c.workflow_id, c.created_at).where(c.kind == "submit", c.applied_at.is_(None))
        known = union(select(w.workflow_id, w.created_at), queued).subquery().c
        query = select(known.workflow_id).order_by(known.created_at.desc())
        if name:
            starts = known.workflow_id.startswith(name, autoescape=True)
            query = query.where(starts).order_by(None).order_by(func.length(known.workflow_id))
        found = await self._database.read(
            lambda connection: list(connection.execute(query.limit(6)).scalars())
        )
        if found and (name is None or found[0] == name or len(found) == 1):
            return str(found[0])
        if not found:
            what = f"no workflow starts with {name!r}" if name else "there is no workflow yet"
            raise InvalidInput(f"{what}; `multi-agent status` lists them")
        raise InvalidInput(f"{name!r} fits several workflows: {', '.join(found)}; name one of them")

    async def events(
        self, workflow_id: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[JournalEntry]:
        """Journal entries with a sequence above `after`, oldest first."""
        c = t.journal.c
        columns = (c.sequence, c.workflow_id, c.task_id, c.at, c.kind, c.data)
        query = select(*columns).where(c.sequence > after).order_by(c.sequence).limit(limit)
        if workflow_id:
            query = query.where(c.workflow_id == workflow_id)

        def body(connection: Connection) -> list[JournalEntry]:
            return [JournalEntry(*row) for row in connection.execute(query)]

        return await self._database.read(body)

    async def orchestrators(self) -> list[dict[str, Any]]:
        """Orchestrators that started and were not found dead, each with what it waits for in `note`."""
        query = select(t.orchestrators).order_by(t.orchestrators.c.started_at)

        def body(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(query).mappings()]

        return await self._database.read(body)

    async def workers(self) -> list[dict[str, Any]]:
        """Workers that joined and have not left, as the owner last knew."""
        query = select(t.workers).where(t.workers.c.left_at.is_(None)).order_by(t.workers.c.joined_at)

        def body(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(query).mappings()]

        return await self._database.read(body)

    async def follow(
        self,
        workflow_id: str,
        poll_seconds: float = POLL_SECONDS,
        *,
        retry_policy: DatabaseRetry | None = None,
    ) -> AsyncIterator[WorkflowView]:
        """The workflow each time its journal grew, for as long as the caller wants to know.

        Outages of the database are waited out; `patience` says so.
        """
        retry_policy = retry_policy or DatabaseRetry()
        newest = select(func.max(t.journal.c.sequence)).where(t.journal.c.workflow_id == workflow_id)
        seen: int | None = None
        while True:
            current = await retry_policy.call(
                lambda: self._database.read(lambda connection: connection.execute(newest).scalar())
            )
            if current != seen:
                view = await retry_policy.call(lambda: self.workflow(workflow_id))
                if view is not None:
                    seen = current
                    yield view
            await asyncio.sleep(poll_seconds)


def _new_name(todo_list_id: str) -> str:
    """Short enough to type, long enough to recognise."""
    words = todo_list_id[:32]
    if len(todo_list_id) > len(words):
        words = words.rpartition("-")[0] or words
    return f"{words.rstrip('-._')}-{uuid.uuid4().hex[:6]}"

"""Applies the commands that clients appended to the database, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import structlog

from contracts.base.errors import BusUnavailable, InvalidInput, MultiAgentError
from contracts.messages.journal import CommandRefused
from contracts.ports.bus import Outgoing, PublishPort
from orchestrator.core.audit.commands import result_entry
from orchestrator.core.commands import (
    CommandKind,
    CommandResult,
    DeadLetterBody,
    DiscardDeadLetterBody,
    RetryDeadLetterBody,
    SubmitBody,
    as_event,
    check_name,
    read_body,
)
from orchestrator.core.events import Retry, WorkflowEvent
from orchestrator.core.sharding import shard_of
from orchestrator.core.state import Workflow
from orchestrator.scheduling.batch import Command
from orchestrator.scheduling.dead_letters import StoredDeadLetter
from orchestrator.scheduling.engine import Engine

logger = structlog.get_logger(__name__)


class CommandStore(Protocol):
    """What commands are about, as it was last committed. Raises StoreUnavailable."""

    async def load(self, workflow_id: str) -> Workflow | None: ...

    async def dead_letter(self, dead_letter_id: int) -> StoredDeadLetter | None: ...


@dataclass(frozen=True, slots=True)
class CommandHandler:
    """Turns commands into events; the result is stored in the transaction of what the command did."""

    engine: Engine
    store: CommandStore
    bus: PublishPort

    async def handle(self, command: Command, now: float, monotonic: float) -> None:
        """Apply one command, or refuse it."""
        pending = self.engine.pending
        pending.shards.add(shard_of(command.workflow_id))
        refused = await self._guarded(command, now, monotonic)
        pending.answers[command.command_id] = result = CommandResult(refused)
        self._note(command, result)
        if refused:
            self.engine.record(command.workflow_id, CommandRefused(command.kind, refused))

    def _note(self, command: Command, result: CommandResult) -> None:
        """Record in the audit log what became of a command; one that submits a workflow is there already."""
        if command.kind == CommandKind.SUBMIT:
            return
        try:
            body = read_body(command.kind, command.body)
        except InvalidInput:
            body = None
        name = command.workflow_id
        self.engine.note(name, result_entry(command.command_id, command.kind, name, body, result))

    async def _guarded(self, command: Command, now: float, monotonic: float) -> str | None:
        """Turn any error into a refusal: one that ended a term would end every term (I7)."""
        try:
            return await self._apply(command, now, monotonic)
        except InvalidInput as error:
            return str(error)
        except MultiAgentError:
            raise
        except Exception as error:
            logger.exception("command_failed", command_id=command.command_id, kind=command.kind)
            return f"this met an error of the program: {type(error).__name__}: {error}"

    async def _apply(self, command: Command, now: float, monotonic: float) -> str | None:
        """Apply the command; return why it is refused, or None."""
        name = check_name(command.workflow_id)
        body = read_body(command.kind, command.body)
        if isinstance(body, RetryDeadLetterBody | DiscardDeadLetterBody):
            return await self._resolve_dead_letter(body, now, monotonic)
        if isinstance(body, SubmitBody):
            return self._submit(command, body, now, monotonic)
        return await self._apply_event(name, as_event(body), now, monotonic)

    def _submit(self, command: Command, body: SubmitBody, now: float, monotonic: float) -> str | None:
        name = command.workflow_id
        if command.known or name in self.engine.workflows:
            return "a workflow with this id exists already"
        started = Workflow.start(
            name,
            body.plan,
            shard=shard_of(name),
            now=now,
            base_commit=body.base_commit,
            repository=body.repository,
            questions=body.questions,
        )
        if body.budget is not None:
            started.limit(body.budget)
        if body.approvals is not None:
            started.ask_first(body.approvals)
        self.engine.submit(started, now, monotonic, planning=body.planning)
        return None

    async def _apply_event(self, name: str, event: WorkflowEvent, now: float, monotonic: float) -> str | None:
        adopted = name not in self.engine.workflows
        if adopted:
            stored = await self.store.load(name)
            if stored is None:
                return f"there is no workflow {name}"
            self.engine.adopt(stored, monotonic)
        refused: str | None = "it failed"
        try:
            refused = self.engine.apply(name, event, now, monotonic).refused
        finally:
            # A workflow that this batch ended stays until the commit: in the database it is still open.
            if refused and adopted:
                self.engine.drop_ended([name])
        if refused is None and isinstance(event, Retry):
            self.engine.pending.retried.append((name, event.task_id))
        return refused

    async def _resolve_dead_letter(self, body: DeadLetterBody, now: float, monotonic: float) -> str | None:
        letter = await self.store.dead_letter(body.dead_letter_id)
        if letter is None:
            return f"there is no dead letter {body.dead_letter_id}"
        resolved = self.engine.pending.resolved
        done = letter.resolution or resolved.get(letter.dead_letter_id)
        if done:
            return f"dead letter {letter.dead_letter_id} was {done} already"
        if isinstance(body, DiscardDeadLetterBody):
            resolved[letter.dead_letter_id] = "discarded"
            return None
        refused = await self._retry_dead_letter(letter, body.person, now, monotonic)
        if refused is None:
            resolved[letter.dead_letter_id] = "retried"
        return refused

    async def _retry_dead_letter(
        self, letter: StoredDeadLetter, person: str, now: float, monotonic: float
    ) -> str | None:
        if letter.workflow_id and letter.task_id:
            retry = Retry(letter.task_id, person)
            return await self._apply_event(letter.workflow_id, retry, now, monotonic)
        # Before the commit: a crash in between publishes it twice; the other way round it would be lost.
        try:
            await self.bus.publish([Outgoing(letter.stream, letter.raw)])
        except BusUnavailable as error:
            return f"the bus is away: {error}"
        return None

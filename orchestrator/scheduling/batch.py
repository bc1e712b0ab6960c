"""A batch: everything that one transaction of the orchestrator writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from contracts.messages.journal import JournalEvent
from orchestrator.core.audit.entries import AuditEntry
from orchestrator.core.commands import CommandResult
from orchestrator.core.state import Header, TaskState, Workflow


class OutboxKind(StrEnum):
    """What an outbox entry asks for."""

    DISPATCH = "dispatch"
    """Publish the dispatch of a task."""
    REF = "ref"
    """Move the ref of a task to its accepted commit; without one, offer what a failed workflow has.

    The first release passes over entries without a commit, and would stop at a kind that it does not know.
    """


class OutboxEntry(NamedTuple):
    """An effect that must follow a commit."""

    entry_id: str
    kind: OutboxKind
    workflow_id: str
    task_id: str
    commit: str | None = None
    """The commit of a REF, None for an offer."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as a client stored it; it is applied once."""

    command_id: str
    kind: str
    """A CommandKind, or one that this version does not know."""
    workflow_id: str
    body: str
    """JSON of the kind's body."""
    known: bool
    """Whether the workflow was stored already when the command was read."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be read, or the last dispatch of a dead-lettered task."""

    stream: str
    """Where the message was published."""
    reason: str
    raw: bytes
    """The payload of the message."""
    workflow_id: str | None = None
    task_id: str | None = None
    origin: str | None = None
    """Names the cause; a second dead letter of the same origin is not stored."""
    logs: str | None = None
    """What the worker logged last."""


@dataclass(slots=True)
class Batch:
    """Everything one transaction writes. Later versions of a row replace earlier ones."""

    now: float
    """The time of the transaction, in seconds since 1970."""
    created: dict[str, Workflow] = field(default_factory=dict)
    """New workflows by id."""
    headers: dict[str, Header] = field(default_factory=dict)
    """Changed headers by workflow id."""
    tasks: dict[tuple[str, str], TaskState] = field(default_factory=dict)
    """Changed tasks by (workflow id, task id).

    A task that only became ready is left out: a reader derives that from the plan and the other tasks.
    """
    count_only: set[str] = field(default_factory=set)
    """Those of `headers` that differ from the stored version by their count of open tasks alone."""
    dispatch_only: set[tuple[str, str]] = field(default_factory=set)
    """Those of `tasks` that differ from the stored version by one dispatch alone."""
    success_only: set[tuple[str, str]] = field(default_factory=set)
    """Those of `tasks` that differ from the stored version by the success of their dispatch alone."""
    added: dict[tuple[str, str], int] = field(default_factory=dict)
    """Those of `tasks` that the plan does not have, and their positions."""
    journal: list[tuple[str, JournalEvent]] = field(default_factory=list)
    """(workflow id, event) in the order of the events."""
    outbox: list[OutboxEntry] = field(default_factory=list)
    """New entries of the outbox."""
    delivered: list[str] = field(default_factory=list)
    """Ids of outbox entries whose effect has happened; they are deleted."""
    answers: dict[str, CommandResult] = field(default_factory=dict)
    """The results of commands, by command id."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    """New dead letters."""
    resolved: dict[int, str] = field(default_factory=dict)
    """How dead letters were resolved, by their id."""
    retried: list[tuple[str, str | None]] = field(default_factory=list)
    """(workflow id, task id) that people retried, the task None for all; this resolves their dead letters."""
    audit: list[tuple[str, AuditEntry]] = field(default_factory=list)
    """(chain, entry) of decisions, in their order; the chains are those of touched shards."""
    shards: set[int] = field(default_factory=set)
    """The shards that the batch touches; each must still be owned when it is committed."""

    @property
    def concerns_dead_letters(self) -> bool:
        """Whether the batch changes dead letters."""
        return bool(self.dead_letters or self.resolved or self.retried)

    @property
    def needs_answers(self) -> bool:
        """Whether writing it takes answers of the database, so that it cannot be sent in one go."""
        return self.concerns_dead_letters or bool(self.audit)

    @property
    def empty(self) -> bool:
        """Whether nothing must be written now. Delivered outbox entries alone can wait for the next batch.

        A touched shard is reason enough to write: only the shard's owner may publish what follows from it,
        and only a commit proves the ownership.
        """
        written = self.created or self.headers or self.tasks or self.journal or self.answers
        return not (written or self.dead_letters or self.shards)

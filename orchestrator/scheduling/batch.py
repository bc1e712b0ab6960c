"""A batch: everything that one transaction of the owner writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from orchestrator.core.command_result import CommandResult
from orchestrator.core.decision import Entry
from orchestrator.core.state import Header, TaskState, Workflow


class OutboxEntry(NamedTuple):
    """An effect that must follow a commit: kind "dispatch" (a task) or "ref" (an accepted commit)."""

    entry_id: str
    kind: str
    workflow_id: str
    task_id: str
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """A person's or a program's wish, appended by the command line. Applied once.

    known: whether its workflow was stored already when the command was read.
    """

    command_id: str
    kind: str
    workflow_id: str
    body: str
    known: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be understood, or the dispatch of a task that was given up, with its bytes.

    origin: names what the letter is about; a second letter of the same origin is not stored. logs: what the
    worker logged last.
    """

    stream: str
    reason: str
    raw: bytes
    workflow_id: str | None = None
    task_id: str | None = None
    origin: str | None = None
    logs: str | None = None


@dataclass(slots=True)
class Batch:
    """Everything one transaction writes at `now`. Later versions of a row replace earlier ones.

    tasks: whatever a reader could not tell from the plan and the other tasks; that a task is ready, it can.
    counted, sent, done: those of `headers` and `tasks` that differ from what is stored by the count of open
    tasks alone, by one dispatch alone, or by the success of their dispatch alone. added: positions of tasks
    that no plan has. settled: outbox entries whose effect is done.
    resolved: how dead letters were worked off, by their number. retried: (workflow, task) that people gave
    fresh attempts, the task None for all: their letters are worked off by that.
    """

    now: float
    created: dict[str, Workflow] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)
    tasks: dict[tuple[str, str], TaskState] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    sent: set[tuple[str, str]] = field(default_factory=set)
    done: set[tuple[str, str]] = field(default_factory=set)
    added: dict[tuple[str, str], int] = field(default_factory=dict)
    journal: list[tuple[str, Entry]] = field(default_factory=list)
    outbox: list[OutboxEntry] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    answers: dict[str, CommandResult] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    resolved: dict[int, str] = field(default_factory=dict)
    retried: list[tuple[str, str | None]] = field(default_factory=list)
    shards: set[int] = field(default_factory=set)

    @property
    def concerns_dead_letters(self) -> bool:
        """Whether there is something about dead letters."""
        return bool(self.dead_letters or self.resolved or self.retried)

    @property
    def empty(self) -> bool:
        """Whether nothing must be written now; marks of settled effects alone can wait for the next batch.

        A touched shard is enough: what follows from it may be said only by its owner, which a commit proves.
        """
        written = self.created or self.headers or self.tasks or self.journal or self.answers
        return not (written or self.dead_letters or self.shards)

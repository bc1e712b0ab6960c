"""What can happen to a workflow: the inputs of `decide`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from contracts.messages.events import TaskOutcome


@dataclass(frozen=True, slots=True)
class Started:
    """The workflow was submitted; its first tasks may go."""


class Dispatch(NamedTuple):
    """A place is free for a ready task; `dispatch_id` is new and random."""

    task_id: str
    dispatch_id: str


class Finished(NamedTuple):
    """A worker reports the outcome of an execution."""

    task_id: str
    outcome: TaskOutcome


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker that executed this dispatch died; `alone` when it executed nothing else."""

    task_id: str
    dispatch_id: str
    worker_id: str
    alone: bool = True


@dataclass(frozen=True, slots=True)
class Overdue:
    """A dispatch ran past its deadline and its worker never said so."""

    task_id: str
    dispatch_id: str


@dataclass(frozen=True, slots=True)
class Approve:
    """A person allows exactly the action that hashes to `action_hash`."""

    task_id: str
    action_hash: str
    person: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A person refuses a task that waits for approval."""

    task_id: str
    person: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person ends the workflow."""

    person: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A person gives failed tasks (one, or all when None) a fresh set of attempts."""

    task_id: str | None
    person: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of a workflow whose tasks all succeeded is one commit now."""

    commit: str


@dataclass(frozen=True, slots=True)
class MergeFailed:
    """The outcome could not be merged."""

    message: str


WorkflowEvent = (
    Started | Dispatch | Finished | Lost | Overdue | Approve | Reject | Cancel | Retry | Merged | MergeFailed
)

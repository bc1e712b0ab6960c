"""The events of `decide`: what can happen to a workflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from contracts.messages.budget import SpendingLimits
from contracts.messages.payloads import TaskOutcome


@dataclass(frozen=True, slots=True)
class Started:
    """The workflow was submitted; its first tasks may be released."""


class Dispatch(NamedTuple):
    """A ready task can be dispatched."""

    task_id: str
    dispatch_id: str
    """New and random."""


class Finished(NamedTuple):
    """A worker reports the outcome of an execution."""

    task_id: str
    outcome: TaskOutcome


@dataclass(frozen=True, slots=True)
class Lost:
    """The worker that executed this dispatch died."""

    task_id: str
    dispatch_id: str
    worker_id: str
    alone: bool = True
    """Whether the worker executed nothing else."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A dispatch ran past its deadline and its worker did not report it."""

    task_id: str
    dispatch_id: str


@dataclass(frozen=True, slots=True)
class Approve:
    """A person allows exactly one action."""

    task_id: str
    action_hash: str
    """See `approvals.actions.action_hash`."""
    person: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Reject:
    """A person refuses what waits for approval."""

    task_id: str
    person: str
    reason: str
    action_hash: str | None = None
    """What the person saw; None for whatever waits."""


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    """A person answers what a task asks."""

    task_id: str
    question_hash: str
    """See `suspension.question_hash`."""
    text: str
    person: str


@dataclass(frozen=True, slots=True)
class RaiseBudget:
    """A person raises what the workflow may spend."""

    limits: SpendingLimits
    """In all; what is None stays."""
    person: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person ends the workflow."""

    person: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A person gives failed tasks a fresh set of attempts."""

    task_id: str | None
    """None for all failed tasks."""
    person: str
    fresh: bool = False
    """Whether what said "failed" gets another fix, instead of being asked the same again."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The commits of a workflow whose tasks all succeeded were merged into `commit`."""

    commit: str


@dataclass(frozen=True, slots=True)
class MergeFailed:
    """The commits could not be merged."""

    message: str


WorkflowEvent = (
    Started
    | Dispatch
    | Finished
    | Lost
    | Overdue
    | Approve
    | Reject
    | AnswerQuestion
    | RaiseBudget
    | Cancel
    | Retry
    | Merged
    | MergeFailed
)

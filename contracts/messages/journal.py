"""Journal events: what has happened to a workflow, one frozen type a kind.

The journal stores an event as its kind, the task it is about, and the other fields as a JSON object, without
those that are None. JOURNAL_EVENTS lists the kinds; `contracts.messages.journal_rows` converts.

The types are named tuples because two are written for each task and nothing is cheaper to create. Named
tuples of different types with equal fields are equal: tell them apart with `isinstance`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from contracts.messages.approval_events import APPROVAL_EVENTS, ApprovalEvent
from contracts.messages.budget_events import BUDGET_EVENTS, BudgetEvent
from contracts.messages.payloads import Usage


class WorkflowSubmitted(NamedTuple):
    """A plan became a workflow."""

    tasks: int
    """How many tasks the plan has."""
    request: str
    """The first 300 characters of what was asked for."""
    planning: Usage | None = None
    """What making the plan consumed, None when it was there before."""


class WorkflowStarted(NamedTuple):
    """The first tasks may be dispatched."""


class WorkflowMerging(NamedTuple):
    """Every task succeeded; the commits are being merged."""


class WorkflowCompleted(NamedTuple):
    """The workflow has its result."""

    commit: str | None
    """The result commit, None when no task left a file."""


class WorkflowFailed(NamedTuple):
    """A task ended without success, or the commits could not be merged."""

    reason: str


class WorkflowOffered(NamedTuple):
    """A failed workflow offers what it has made; see contracts.base.refs.UNVERIFIED."""

    commit: str
    left_out: tuple[str, ...] = ()
    """`task: why` of each outcome that conflicts with what was taken before it."""


class WorkflowCancelled(NamedTuple):
    """A person ended the workflow."""

    person: str


class WorkflowRetried(NamedTuple):
    """A person gave failed tasks fresh attempts, or the merge when no task had failed."""

    task_id: str | None
    """The task that was named, None for all."""
    person: str
    tasks: int | None = None
    """How many tasks were reopened, None for the merge."""


class TaskDispatched(NamedTuple):
    """An attempt was sent to the workers."""

    task_id: str
    attempt: int
    """1 for the first dispatch of the task."""
    dispatch_id: str


class TaskSucceeded(NamedTuple):
    """The outcome of the current dispatch was accepted."""

    task_id: str
    attempt: int
    commit: str | None
    summary: str
    dispatch_id: str
    worker_id: str
    verdict: str | None = None
    """`passed` or `failed`, for tasks that test or review."""


class TaskToBeFixed(NamedTuple):
    """A test or review report said `failed`: a debug cycle was added to the workflow."""

    task_id: str
    cycle: int
    """1 for the first cycle."""
    added: tuple[str, ...]
    """The tasks of the cycle."""


class TaskNeedsPlan(NamedTuple):
    """An agent that was given the whole request asked for a plan, which a planner makes now."""

    task_id: str
    reason: str
    added: tuple[str, ...]
    """The planner's task."""


class TaskPlanned(NamedTuple):
    """A plan that an agent asked for was made; the workflow goes on with its tasks."""

    task_id: str
    added: tuple[str, ...]


class TaskContested(NamedTuple):
    """A fix called tests wrong instead of the code; they are looked at again."""

    task_id: str
    reason: str
    added: tuple[str, ...]


class TaskSuspended(NamedTuple):
    """An execution ended with a question to a person, and left its slot; it goes on with the answer."""

    task_id: str
    attempt: int
    question: str
    choices: tuple[str, ...] | None = None
    """Answers that are likely, None for none."""


class TaskAnswered(NamedTuple):
    """A person answered what a task asks."""

    task_id: str
    person: str
    question: str
    answer: str


class TaskRetrying(NamedTuple):
    """An attempt failed and is repeated."""

    task_id: str
    attempt: int
    code: str
    message: str
    retry_in_seconds: float


class TaskDelayed(NamedTuple):
    """What an attempt needs is unavailable: it is repeated, and no failure is counted."""

    task_id: str
    attempt: int
    code: str
    message: str
    retry_in_seconds: float


class TaskLost(NamedTuple):
    """The worker died while it executed the task, which is repeated."""

    task_id: str
    attempt: int
    crashes: int
    """Deaths that are counted against the task."""
    alone: bool
    """Whether the worker executed nothing else, so that this death counts."""
    dead_worker_id: str


class TaskPassedOn(NamedTuple):
    """The worker that held the dispatch is silent: the same dispatch is given to others."""

    task_id: str
    attempt: int
    dispatch_id: str
    silent_worker_id: str


class TaskFailed(NamedTuple):
    """The task has failed for good."""

    task_id: str
    attempt: int
    code: str
    message: str


class TaskDeadLettered(NamedTuple):
    """The task took its worker down too often."""

    task_id: str
    attempt: int
    code: str
    message: str


class OutcomeRefused(NamedTuple):
    """An outcome was not accepted: it is stale, or its workflow is over or unknown."""

    task_id: str
    reason: str
    dispatch_id: str
    execution_id: str


class CommandRefused(NamedTuple):
    """A command was not applied."""

    command: str
    """The kind of the command."""
    reason: str


class UnknownEvent(NamedTuple):
    """A stored entry of another version: its kind is not known, or its data lacks a field."""

    kind: str
    task_id: str | None
    data: Mapping[str, Any]


JournalEvent: TypeAlias = (
    WorkflowSubmitted
    | WorkflowStarted
    | WorkflowMerging
    | WorkflowCompleted
    | WorkflowFailed
    | WorkflowOffered
    | WorkflowCancelled
    | WorkflowRetried
    | TaskDispatched
    | TaskSucceeded
    | TaskToBeFixed
    | TaskContested
    | TaskNeedsPlan
    | TaskPlanned
    | TaskSuspended
    | TaskAnswered
    | BudgetEvent
    | TaskRetrying
    | TaskDelayed
    | TaskLost
    | TaskPassedOn
    | TaskFailed
    | TaskDeadLettered
    | ApprovalEvent
    | OutcomeRefused
    | CommandRefused
)

JOURNAL_EVENTS: Mapping[str, type[JournalEvent]] = {
    "workflow.submitted": WorkflowSubmitted,
    "workflow.started": WorkflowStarted,
    "workflow.merging": WorkflowMerging,
    "workflow.completed": WorkflowCompleted,
    "workflow.failed": WorkflowFailed,
    "workflow.offered": WorkflowOffered,
    "workflow.cancelled": WorkflowCancelled,
    "workflow.retried": WorkflowRetried,
    "task.dispatched": TaskDispatched,
    "task.succeeded": TaskSucceeded,
    "task.to_be_fixed": TaskToBeFixed,
    "task.contested": TaskContested,
    "task.needs_plan": TaskNeedsPlan,
    "task.planned": TaskPlanned,
    "task.suspended": TaskSuspended,
    "task.answered": TaskAnswered,
    **BUDGET_EVENTS,
    "task.retrying": TaskRetrying,
    "task.delayed": TaskDelayed,
    "task.lost": TaskLost,
    "task.passed_on": TaskPassedOn,
    "task.failed": TaskFailed,
    "task.dead_lettered": TaskDeadLettered,
    **APPROVAL_EVENTS,
    "outcome.refused": OutcomeRefused,
    "command.refused": CommandRefused,
}
"""The type of each kind."""

"""Events about attempts: dispatched, finished, lost, overdue."""

from __future__ import annotations

from typing import Final

from contracts.base.text import bounded
from contracts.documents.todo_list import Role
from contracts.messages.journal import (
    TaskContested,
    TaskDelayed,
    TaskDispatched,
    TaskLost,
    TaskNeedsPlan,
    TaskPlanned,
    TaskRetrying,
    TaskSucceeded,
    TaskToBeFixed,
)
from contracts.messages.payloads import TaskError, TaskOutcome, Usage
from orchestrator.core.approvals.deciding import gate, given_back, met_outage, outcome_unknown
from orchestrator.core.approvals.releasing import release
from orchestrator.core.budgets import allowance, out_of_budget, settled
from orchestrator.core.contest import ContestRefused, Disputed, amendment, dispute
from orchestrator.core.cycles import debug_cycle
from orchestrator.core.decision import Decision, conclude, end_badly
from orchestrator.core.events import Dispatch, Finished, Lost, Overdue
from orchestrator.core.planning import PlanRefused, ask_for_plan, follow_plan
from orchestrator.core.state import TaskState, TaskStatus, Workflow
from orchestrator.core.suspension import Left, SuspensionRefused, suspend

MAX_CRASHES = 3
"""A task that took its worker down this often is dead-lettered."""

BACKOFF_FIRST_SECONDS = 1.0
BACKOFF_MOST_SECONDS = 60.0
OUTAGE_MOST_SECONDS = 30.0
"""The longest wait after a failure, and after an outage."""

_MOST_CHARACTERS: Final = 2_000
"""Of the reason of an end; findings and summaries may be of any length."""
_FINDINGS = 3
"""How many findings an error names."""


def backoff_seconds(count: int, most: float = BACKOFF_MOST_SECONDS) -> float:
    """Wait before the attempt after the given number of failures or outages: 1, 2, 4 ... seconds."""
    doublings = min(max(0, count - 1), 10)
    return float(min(BACKOFF_FIRST_SECONDS * 2**doublings, most))


def dispatch(workflow: Workflow, event: Dispatch, now: float) -> Decision:
    """Dispatch a ready task, if it may spend and do what it is about to."""
    task = workflow.tasks[event.task_id]
    if task.status is not TaskStatus.READY:
        return Decision(refused=f"task is {task.status}")
    if (waits := out_of_budget(workflow, task)) is not None:
        return waits
    sent = task._replace(
        status=TaskStatus.DISPATCHED,
        attempt=task.attempt + 1,
        dispatch_id=event.dispatch_id,
        dispatched_at=now,
        parents=workflow.parents_of(task),
        allowance=allowance(workflow, task),
    )
    decision = gate(workflow, task, sent, now)
    if sent.dispatch_id not in {one.dispatch_id for one in decision.tasks}:
        return decision
    entry = TaskDispatched(task.task_id, sent.attempt, event.dispatch_id)
    return decision._replace(journal=(*decision.journal, entry))


def _current(workflow: Workflow, task_id: str, dispatch_id: str) -> TaskState | str:
    """The task when `dispatch_id` is its current dispatch (I3), else the reason why it is not."""
    task = workflow.tasks.get(task_id)
    if task is None:
        return "no such task"
    if task.status is not TaskStatus.DISPATCHED:
        return f"task is {task.status}"
    if task.dispatch_id != dispatch_id:
        return "superseded dispatch"
    return task


def finish(workflow: Workflow, event: Finished, now: float) -> Decision:
    """Apply an outcome, if it is that of the current dispatch."""
    task = _current(workflow, event.task_id, event.outcome.dispatch_id)
    if isinstance(task, str):
        return Decision(refused=task)
    outcome, granted = event.outcome, task.allowance
    task = settled(task, outcome.spent)
    if outcome.error is not None and outcome.error.outage:
        return _delay(task, outcome, outcome.error, now)
    succeeded = outcome.status == "succeeded"
    done = task._replace(
        status=TaskStatus.SUCCEEDED if succeeded else task.status,
        suspect=False,
        commit=outcome.commit,
        verdict=outcome.verdict,
        summary=outcome.summary,
        tests=outcome.tests,
        review=outcome.review,
        backend=outcome.backend,
        usage=_sum(task.usage, outcome.usage),
        seconds=task.seconds + outcome.seconds,
        error=None if succeeded else outcome.error,
        wanted=None,
    )
    if outcome.suspended is not None:
        return _suspended(workflow, done, Left(outcome, granted), now)
    if not succeeded:
        error = outcome.error or TaskError(code="unknown", message="the worker gave no reason")
        return _fail_attempt(workflow, done, error, now)
    if outcome.plan_wanted is not None or outcome.plan is not None or outcome.contested is not None:
        return _asked(workflow, done, outcome, now)
    said_no = outcome.verdict == "failed"
    return (
        _verdict_failed(workflow, done, outcome, now)
        if said_no
        else _succeed(workflow, done, outcome, now, [])
    )


def _succeed(
    workflow: Workflow, task: TaskState, outcome: TaskOutcome, now: float, more: list[TaskState]
) -> Decision:
    waiting = [name for name in workflow.dependents[task.task_id] if workflow.unmet[name] == 1]
    succeeded = TaskSucceeded(
        task.task_id,
        task.attempt,
        task.commit,
        task.summary,
        outcome.dispatch_id,
        outcome.worker_id,
        task.verdict,
    )
    released = release(workflow, waiting, just_done=task.task_id) if not more else []
    return conclude(workflow, [task, *more, *released], [succeeded], now)


def _asked(workflow: Workflow, task: TaskState, outcome: TaskOutcome, now: float) -> Decision:
    """Apply an outcome that asks for something else than what comes next."""
    decide = _planning if outcome.contested is None else _contested
    return decide(workflow, task, outcome, now)


def _suspended(workflow: Workflow, task: TaskState, left: Left, now: float) -> Decision:
    """Let the task wait for what it needs; what cannot be waited for fails the attempt."""
    try:
        return suspend(workflow, given_back(task), left)
    except SuspensionRefused as refusal:
        error = TaskError(code=refusal.code, message=bounded(str(refusal), _MOST_CHARACTERS))
        return _fail_attempt(workflow, task._replace(status=TaskStatus.DISPATCHED, commit=None), error, now)


def _planning(workflow: Workflow, task: TaskState, outcome: TaskOutcome, now: float) -> Decision:
    """Ask a planner, or go on with what it planned; a plan that cannot be followed fails the attempt."""
    entry: TaskNeedsPlan | TaskPlanned
    try:
        if outcome.plan_wanted is not None:
            added = ask_for_plan(workflow, task, outcome.plan_wanted)
            entry = TaskNeedsPlan(task.task_id, outcome.plan_wanted.reason, _new(workflow, added))
        else:
            added = follow_plan(workflow, task, outcome.plan)
            entry = TaskPlanned(task.task_id, _new(workflow, added))
    except PlanRefused as refusal:
        error = TaskError(code="plan_refused", message=bounded(str(refusal), _MOST_CHARACTERS))
        return _fail_attempt(workflow, task._replace(status=TaskStatus.DISPATCHED, commit=None), error, now)
    decision = _succeed(workflow, task, outcome, now, added)
    return decision._replace(journal=(*decision.journal, entry))


def _contested(workflow: Workflow, task: TaskState, outcome: TaskOutcome, now: float) -> Decision:
    """Have the tests looked at again; where they were already, the end is a dispute.

    What cannot be contested fails the attempt.
    """
    assert outcome.contested is not None
    try:
        added = amendment(workflow, task, outcome.contested)
    except ContestRefused as refusal:
        error = TaskError(code="contest_refused", message=bounded(str(refusal), _MOST_CHARACTERS))
        return _fail_attempt(workflow, task._replace(status=TaskStatus.DISPATCHED, commit=None), error, now)
    except Disputed as dispute_:
        if task.item.agent_role == Role.CODER:
            # Its work is kept, and the tests judge it.
            return _succeed(workflow, task, outcome, now, [])
        error = TaskError(code="disputed", message=bounded(str(dispute_), _MOST_CHARACTERS), retryable=False)
        ended = task._replace(status=TaskStatus.DISPATCHED, error=error)
        return end_badly(workflow, ended, TaskStatus.FAILED, now)
    decision = _succeed(workflow, task, outcome, now, added)
    entry = TaskContested(task.task_id, outcome.contested.reason, _new(workflow, added))
    return decision._replace(journal=(*decision.journal, entry))


def _new(workflow: Workflow, tasks: list[TaskState]) -> tuple[str, ...]:
    return tuple(task.task_id for task in tasks if task.task_id not in workflow.tasks)


def _verdict_failed(workflow: Workflow, task: TaskState, outcome: TaskOutcome, now: float) -> Decision:
    """Add a debug cycle while one is left, else fail the task. No fix of the code helps the environment."""
    failure = task.tests.failure if task.tests else None
    added = [] if failure is not None and failure.environment else debug_cycle(workflow, task)
    if added:
        decision = _succeed(workflow, task, outcome, now, added)
        to_be_fixed = TaskToBeFixed(task.task_id, max(one.cycle for one in added), _new(workflow, added))
        return decision._replace(journal=(*decision.journal, to_be_fixed))
    error = _negative(task)
    if said := dispute(workflow, task):
        message = bounded(f"{error.message}; {said}", _MOST_CHARACTERS)
        error = TaskError(code="disputed", message=message, retryable=False)
    return end_badly(workflow, task._replace(error=error), TaskStatus.FAILED, now)


def _negative(task: TaskState) -> TaskError:
    """The error of a task whose tests or review said no for the last time."""
    failure = task.tests.failure if task.tests else None
    if failure is not None and failure.kind == "not_loaded":
        code = "environment" if failure.environment else "tests_not_loaded"
        return TaskError(code=code, message=failure.sentence, retryable=False)
    if task.review is not None:
        findings = "".join(f"; {finding.sentence}" for finding in task.review.findings[:_FINDINGS])
        message = bounded(f"the review does not approve: {task.summary}{findings}", _MOST_CHARACTERS)
        return TaskError(code="not_approved", message=message, retryable=False)
    what = "tests still fail" if task.tests else "the report is negative"
    message = bounded(f"{what}: {task.summary}", _MOST_CHARACTERS)
    return TaskError(code="verdict_failed", message=message, retryable=False)


def _fail_attempt(workflow: Workflow, task: TaskState, error: TaskError, now: float) -> Decision:
    failures = task.failures + 1
    task = task._replace(failures=failures, error=error)
    if not error.retryable or failures > task.item.max_retries:
        return end_badly(workflow, task, TaskStatus.FAILED, now)
    wait = backoff_seconds(failures)
    again = task._replace(status=TaskStatus.READY, dispatch_id=None, not_before=now + wait)
    retrying = TaskRetrying(task.task_id, task.attempt, error.code, error.message, wait)
    return Decision((again,), journal=(retrying,))


def _delay(task: TaskState, outcome: TaskOutcome, error: TaskError, now: float) -> Decision:
    """Repeat an attempt that met an outage, as often as it takes; no failure is counted."""
    outages = task.outages + 1
    wait = backoff_seconds(outages, OUTAGE_MOST_SECONDS)
    again = met_outage(task)._replace(
        status=TaskStatus.READY,
        dispatch_id=None,
        outages=outages,
        not_before=now + wait,
        error=error,
        usage=_sum(task.usage, outcome.usage),
        seconds=task.seconds + outcome.seconds,
    )
    delayed = TaskDelayed(task.task_id, task.attempt, error.code, error.message, wait)
    return Decision((again,), journal=(delayed,))


def lose(workflow: Workflow, event: Lost, now: float) -> Decision:
    """Repeat a task whose worker died, alone from now on, or dead-letter it.

    A death counts only when the worker executed nothing else (I7).
    """
    task = _current(workflow, event.task_id, event.dispatch_id)
    if isinstance(task, str):
        return Decision(refused=task)
    crashes = task.crashes + event.alone
    error = TaskError(code="worker_died", message=f"worker {event.worker_id} died while it ran this task")
    task = outcome_unknown(settled(task, None))._replace(crashes=crashes, suspect=True, error=error)
    if crashes >= MAX_CRASHES:
        return end_badly(workflow, task, TaskStatus.DEAD, now)
    again = task._replace(status=TaskStatus.READY, dispatch_id=None, not_before=now)
    lost = TaskLost(task.task_id, task.attempt, crashes, event.alone, event.worker_id)
    return Decision((again,), journal=(lost,))


def overdue(workflow: Workflow, event: Overdue, now: float) -> Decision:
    """Count a failure and recall the dispatch."""
    task = _current(workflow, event.task_id, event.dispatch_id)
    if isinstance(task, str):
        return Decision(refused=task)
    limit = task.item.timeout_seconds
    error = TaskError(code="timeout", message=f"no outcome within timeout_seconds={limit}")
    decision = _fail_attempt(workflow, outcome_unknown(settled(task, None)), error, now)
    return decision._replace(recalls=(event.dispatch_id,))


def _sum(one: Usage, other: Usage) -> Usage:
    if not (other.model_calls or other.input_tokens or other.output_tokens or other.cost_usd):
        return one
    return one.plus(other)

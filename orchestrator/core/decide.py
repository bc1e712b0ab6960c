"""`decide`: what an event does to a workflow. Pure: no clock, no bus, no SQL."""

from __future__ import annotations

from typing import assert_never

from contracts.messages.journal import WorkflowCompleted, WorkflowFailed, WorkflowStarted
from orchestrator.core.approvals.deciding import approve, reject
from orchestrator.core.approvals.releasing import release
from orchestrator.core.attempts import dispatch, finish, lose, overdue
from orchestrator.core.budgets import raise_budget, resumed
from orchestrator.core.decision import Decision, conclude
from orchestrator.core.events import (
    AnswerQuestion,
    Approve,
    Cancel,
    Dispatch,
    Finished,
    Lost,
    Merged,
    MergeFailed,
    Overdue,
    RaiseBudget,
    Reject,
    Retry,
    Started,
    WorkflowEvent,
)
from orchestrator.core.operator_actions import cancel, retry
from orchestrator.core.state import Workflow, WorkflowStatus
from orchestrator.core.suspension import answer


def decide(workflow: Workflow, event: WorkflowEvent, now: float) -> Decision:  # noqa: C901, PLR0911, PLR0912 - one case an event
    """Decide what `event` does to `workflow` at `now` (seconds since 1970). Changes nothing itself."""
    match event:
        case Started():
            return conclude(workflow, release(workflow, workflow.tasks), [WorkflowStarted()], now)
        case Dispatch():
            return dispatch(workflow, event, now)
        case Finished():
            return resumed(workflow, finish(workflow, event, now))
        case Lost():
            return resumed(workflow, lose(workflow, event, now))
        case Overdue():
            return resumed(workflow, overdue(workflow, event, now))
        case Approve():
            return approve(workflow, event, now)
        case Reject():
            return reject(workflow, event, now)
        case AnswerQuestion():
            return answer(workflow, event)
        case RaiseBudget():
            return raise_budget(workflow, event)
        case Cancel():
            return cancel(workflow, event, now)
        case Retry():
            return retry(workflow, event, now)
        case Merged():
            return merged(workflow, event, now)
        case MergeFailed():
            return merge_failed(workflow, event, now)
        case _:
            assert_never(event)


def merged(workflow: Workflow, event: Merged, now: float) -> Decision:
    """Complete the workflow."""
    if workflow.header.status is not WorkflowStatus.MERGING:
        return Decision(refused=f"workflow is {workflow.header.status}")
    header = workflow.header._replace(
        status=WorkflowStatus.COMPLETED, result_commit=event.commit, finished_at=now
    )
    return Decision(header=header, journal=(WorkflowCompleted(event.commit),))


def merge_failed(workflow: Workflow, event: MergeFailed, now: float) -> Decision:
    """Fail the workflow at its last step."""
    if workflow.header.status is not WorkflowStatus.MERGING:
        return Decision(refused=f"workflow is {workflow.header.status}")
    reason = f"the outcomes could not be merged: {event.message}"
    header = workflow.header._replace(status=WorkflowStatus.FAILED, reason=reason, finished_at=now)
    return Decision(header=header, journal=(WorkflowFailed(reason),))

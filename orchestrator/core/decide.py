"""The core: what follows from an input. Pure: no clock, no bus, no SQL."""

from __future__ import annotations

from typing import assert_never

from orchestrator.core.attempts import dispatch, finish, lose, overdue
from orchestrator.core.decision import Decision, Entry, release, settle
from orchestrator.core.events import (
    Approve,
    Cancel,
    Dispatch,
    Finished,
    Input,
    Lost,
    Merged,
    MergeFailed,
    Overdue,
    Reject,
    Retry,
    Started,
)
from orchestrator.core.operator_actions import approve, cancel, reject, retry
from orchestrator.core.state import Workflow, WorkflowStatus


def decide(workflow: Workflow, given: Input, now: float) -> Decision:  # noqa: C901, PLR0911 - one case an input
    """Decide what `given` does to `workflow` at `now` (seconds since 1970). Changes nothing itself."""
    match given:
        case Started():
            return settle(workflow, release(workflow, workflow.tasks), [Entry("workflow.started")], now)
        case Dispatch():
            return dispatch(workflow, given, now)
        case Finished():
            return finish(workflow, given, now)
        case Lost():
            return lose(workflow, given, now)
        case Overdue():
            return overdue(workflow, given, now)
        case Approve():
            return approve(workflow, given)
        case Reject():
            return reject(workflow, given, now)
        case Cancel():
            return cancel(workflow, given, now)
        case Retry():
            return retry(workflow, given, now)
        case Merged():
            return merged(workflow, given, now)
        case MergeFailed():
            return merge_failed(workflow, given, now)
        case _:
            assert_never(given)


def merged(workflow: Workflow, given: Merged, now: float) -> Decision:
    """The workflow is complete."""
    if workflow.header.status is not WorkflowStatus.MERGING:
        return Decision(refused=f"workflow is {workflow.header.status}")
    header = workflow.header._replace(
        status=WorkflowStatus.COMPLETED, result_commit=given.commit, finished_at=now
    )
    return Decision(header=header, journal=(Entry("workflow.completed", None, {"commit": given.commit}),))


def merge_failed(workflow: Workflow, given: MergeFailed, now: float) -> Decision:
    """The workflow has failed at its last step."""
    if workflow.header.status is not WorkflowStatus.MERGING:
        return Decision(refused=f"workflow is {workflow.header.status}")
    reason = f"the outcomes could not be merged: {given.message}"
    header = workflow.header._replace(status=WorkflowStatus.FAILED, reason=reason, finished_at=now)
    return Decision(header=header, journal=(Entry("workflow.failed", None, {"reason": reason}),))

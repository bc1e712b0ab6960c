"""How an approval is given, refused, and used up in the decision that dispatches what it allows."""

from __future__ import annotations

from typing import Final

from contracts.base.text import bounded
from contracts.messages.approval_events import ApprovalAsked, ApprovalUsed, TaskApproved, TaskRejected
from contracts.messages.approvals import MOST_COMMENT, MOST_REFUSED, Approval, ApprovalState
from contracts.messages.payloads import TaskError
from orchestrator.core.approvals.actions import (
    PLAN,
    Needed,
    action_hash,
    approved_hash,
    asks_for,
    needed,
    needed_for_call,
)
from orchestrator.core.audit.entries import AuditEntry, AuditKind, Fact, Via
from orchestrator.core.decision import Decision, end_badly
from orchestrator.core.events import Approve, Reject
from orchestrator.core.state import TaskState, TaskStatus, Workflow

_HOUR: Final = 3_600.0
_USED: Final = frozenset({"consumed", "unknown"})
_WHY: Final = {
    "expired": "the approval was not used in time",
    "changed": "what was approved has changed since",
    "consumed": "the approval was used by a dispatch that did not succeed",
    "unknown": "the approval was used, and what became of that is unknown",
}


def approve(workflow: Workflow, event: Approve, now: float) -> Decision:
    """Allow exactly the action that waits, once; the first who decides has decided."""
    task = workflow.tasks.get(event.task_id)
    if task is None or task.status is not TaskStatus.APPROVAL:
        return Decision(refused=f"task {event.task_id} does not wait for approval")
    expected = action_hash(workflow, task)
    if event.action_hash != expected:
        return Decision(refused="what waits for approval is not what was approved; look at it again")
    until = now + asks_for(workflow, task).hours * _HOUR
    given = _decided(task, expected, "approved", event.person, event.comment)
    given = given.model_copy(update={"until": until})
    ready = _with(task, given)._replace(status=TaskStatus.READY)
    entry = TaskApproved(task.task_id, event.person, expected, event.comment or None)
    return Decision((ready,), journal=(entry,))


def reject(workflow: Workflow, event: Reject, now: float) -> Decision:
    """Refuse what waits, for ever: a task fails, an agent is told that it may not make its call."""
    task = workflow.tasks.get(event.task_id)
    if task is None or task.status is not TaskStatus.APPROVAL:
        return Decision(refused=f"task {event.task_id} does not wait for approval")
    found = action_hash(workflow, task)
    if event.action_hash not in {None, found}:
        return Decision(refused="what waits for approval is not what was rejected; look at it again")
    denied = _with(task, _decided(task, found, "denied", event.person, bounded(event.reason, MOST_COMMENT)))
    why = f"rejected by {event.person}" + (f": {event.reason}" if event.reason else "")
    if task.wanted is not None:
        said = (task.wanted.digest, bounded(why, MOST_COMMENT))
        refused = (*task.refused, said)[-MOST_REFUSED:]
        told = denied._replace(status=TaskStatus.READY, wanted=None, granted=None, refused=refused)
        return Decision((told,), journal=(TaskRejected(task.task_id, event.person, found, why),))
    error = TaskError(code="rejected", message=why, retryable=False)
    return end_badly(workflow, denied._replace(error=error), TaskStatus.FAILED, now)


def _decided(task: TaskState, found: str, state: ApprovalState, person: str, comment: str) -> Approval:
    before = _known(task, of_call=task.wanted is not None)
    return Approval(
        action_hash=found,
        state=state,
        person=person,
        comment=comment,
        before=before.earlier if before else None,
    )


def _with(task: TaskState, given: Approval) -> TaskState:
    return task._replace(granted=given) if task.wanted else task._replace(approval=given)


def is_denied(task: TaskState) -> bool:
    """Whether a person refused this task, which is final."""
    return task.approval is not None and task.approval.state == "denied"


def gate(workflow: Workflow, task: TaskState, sent: TaskState, now: float) -> Decision:
    """Dispatch a ready task, with what this uses up of its approvals; else let it wait for them, or end it.

    sent: the task as it is dispatched. Here alone an approval is used: in the decision of the dispatch.
    """
    needs = needed(workflow.header, task.item)
    if needs is None and task.approval is not None:
        needs = Needed(PLAN)  # what was asked about once is, also where a change of it leaves no rule
    if needs is not None and needs.denied:
        message = f"denied by the rule {needs.rule!r} of the policy"
        error = TaskError(code="denied_by_policy", message=message, retryable=False)
        denied = end_badly(workflow, task._replace(error=error), TaskStatus.FAILED, now)
        entry = _audited(workflow, task, AuditKind.APPROVAL_DENIED, rule=needs.rule)
        return denied._replace(audit=(entry,))
    journal, audit = [], []
    asking = ((needs, False), (needed_for_call(workflow, task), True))
    for one, of_call in asking:
        if one is None:
            continue
        known, state = _known(task, of_call=of_call), _state(workflow, task, one, now, of_call=of_call)
        if known is None or state != "approved":
            return _asked(task, state, of_call=of_call)
        used = known.model_copy(update={"state": "consumed", "dispatch_id": sent.dispatch_id})
        sent = sent._replace(granted=used) if of_call else sent._replace(approval=used)
        journal.append(ApprovalUsed(sent.task_id, used.action_hash, sent.dispatch_id or ""))
        facts: dict[str, Fact] = {"action_sha256": used.action_hash, "dispatch_id": sent.dispatch_id}
        audit.append(_audited(workflow, task, AuditKind.APPROVAL_USED, rule=one.rule, **facts))
    return Decision((sent,), journal=tuple(journal), audit=tuple(audit))


def _audited(workflow: Workflow, task: TaskState, kind: AuditKind, **facts: Fact) -> AuditEntry:
    policy = workflow.header.approvals
    who = f"policy {policy.version}" if policy else "plan"
    return AuditEntry(kind, who, Via.POLICY, workflow.header.workflow_id, task.task_id, facts)


def _known(task: TaskState, *, of_call: bool) -> Approval | None:
    return task.granted if of_call else task.approval


def _state(
    workflow: Workflow, task: TaskState, needs: Needed, now: float, *, of_call: bool
) -> ApprovalState | None:
    """What is left of an approval; `approved` for one that can be used now, None for none."""
    given = _known(task, of_call=of_call)
    if given is None or (given.state != "approved" and not (needs.idempotent and given.state in _USED)):
        return given.state if given else None
    if now >= given.until:
        return "expired"
    same = approved_hash(workflow, task, given, of_call=of_call) == given.action_hash
    return "approved" if same else "changed"


def _asked(task: TaskState, state: ApprovalState | None, *, of_call: bool) -> Decision:
    known = _known(task, of_call=of_call)
    if known is not None and state is not None:
        known = known.model_copy(update={"state": state})
    waiting = task._replace(status=TaskStatus.APPROVAL)
    waiting = waiting._replace(granted=known) if of_call else waiting._replace(approval=known)
    return Decision((waiting,), journal=(ApprovalAsked(task.task_id, _WHY.get(state or "", "")),))


def given_back(task: TaskState) -> TaskState:
    """A task whose dispatch ended before its work, as its worker says: the work goes on as approved."""
    given = task.approval
    if given is None or given.state != "consumed":
        return task
    return task._replace(approval=given.model_copy(update={"state": "approved", "dispatch_id": None}))


def met_outage(task: TaskState) -> TaskState:
    """A task whose dispatch met an outage: the work goes on, but a call of its agent may have been made."""
    return given_back(task)._replace(granted=_unknown(task.granted))


def outcome_unknown(task: TaskState) -> TaskState:
    """A task of whose dispatch nobody knows what it did."""
    return task._replace(approval=_unknown(task.approval), granted=_unknown(task.granted))


def _unknown(given: Approval | None) -> Approval | None:
    used = given is not None and given.state == "consumed"
    return given.model_copy(update={"state": "unknown"}) if given and used else given

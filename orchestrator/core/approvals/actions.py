"""What an approval is for: the canonical action, its hash, and the rule that asks for it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from contracts.base.model import Model
from contracts.documents.approval_policy import USUAL_HOURS, ActionFacts, ApprovalRule, Risk
from contracts.documents.canonical_json import canonical_hash
from contracts.documents.todo_list import TodoItem
from contracts.messages.approvals import Approval, EarlierApproval
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow

FORM: Final = 1
"""Of the canonical action; part of it."""
PLAN: Final = "plan"
"""Stands for a rule where the plan says that a task requires approval."""
_TASK: Final = "task"


class Needed(NamedTuple):
    """What asks for an approval."""

    rule: str
    risk: Risk = "medium"
    hours: float = USUAL_HOURS
    """How long an approval can be used."""
    idempotent: bool = False
    """Whether an approval also holds for what repeats the same action."""
    denied: bool = False
    """Whether nobody can allow it."""


GOVERNING: Final = Needed("policy", "high")
"""Asks for a person where a release changes the rules themselves; no rule allows that."""


def needed(header: Header, item: TodoItem) -> Needed | None:
    """What asks for an approval of a whole task; None where it may start."""
    rule = _rule(header, item)
    if rule is None:
        return Needed(PLAN) if item.requires_approval else None
    if rule.then == "allow":
        return None
    return Needed(rule.name, rule.risk, rule.hours, rule.idempotent, denied=rule.then == "deny")


def first_status(header: Header, item: TodoItem) -> TaskStatus:
    """The status of a task that waits for no other."""
    needs = needed(header, item)
    return TaskStatus.READY if needs is None or needs.denied else TaskStatus.APPROVAL


def _rule(header: Header, item: TodoItem) -> ApprovalRule | None:
    if header.approvals is None:
        return None
    budget = header.budget
    limits = [] if budget is None else [budget.task.usd, budget.workflow.usd]
    least = min((limit for limit in limits if limit is not None), default=None)
    facts = ActionFacts(_TASK, item.agent_role, item.output_artifacts, usd=least)
    return header.approvals.rule_for(facts)


def calls_need_approval(header: Header) -> bool:
    """Whether a rule may ask about calls that agents make."""
    return header.approvals is not None and header.approvals.about_calls


def needed_for_call(workflow: Workflow, task: TaskState) -> Needed | None:
    """What asks for the call that an agent wants to make; None where it wants none."""
    if task.wanted is None:
        return None
    found = Needed(task.wanted.rule, task.wanted.risk)
    rules = workflow.header.approvals.rules if workflow.header.approvals else ()
    rule = next((rule for rule in rules if rule.name == task.wanted.rule), None)
    return found if rule is None else found._replace(hours=rule.hours, idempotent=rule.idempotent)


def asks_for(workflow: Workflow, task: TaskState) -> Needed:
    """What asks for what a task waits for: a call of its agent, else the task itself."""
    return needed_for_call(workflow, task) or needed(workflow.header, task.item) or Needed(PLAN)


def action_of(workflow: Workflow, task: TaskState) -> dict[str, Any]:
    """All that an approval of what waits is about; a person is shown this, and its hash is approved.

    Commits stand for the contents of all files: who changes one byte, mode or link has another commit.
    """
    decided = task.granted if task.wanted else task.approval
    return _action(workflow, task, decided.earlier if decided else None, of_call=task.wanted is not None)


def action_hash(workflow: Workflow, task: TaskState) -> str:
    """SHA-256 of exactly what an approval of what waits allows."""
    return canonical_hash(action_of(workflow, task))


def approved_hash(workflow: Workflow, task: TaskState, given: Approval, *, of_call: bool) -> str:
    """The hash of the action as it is now, for which an approval was given."""
    return canonical_hash(_action(workflow, task, given.before, of_call=of_call))


def _action(
    workflow: Workflow, task: TaskState, earlier: EarlierApproval | None, *, of_call: bool
) -> dict[str, Any]:
    header = workflow.header
    call = task.wanted if of_call else None
    needs = needed_for_call(workflow, task) if call else needed(header, task.item)
    policy = header.approvals
    return {
        "form": FORM,
        "action": call.tool if call else _TASK,
        "workflow_id": header.workflow_id,
        "task": _data(task.item),
        "dependencies": list(task.dependencies),
        "request": header.request,
        "base_commit": header.base_commit,
        "starts_from": list(workflow.parents_of(task)),
        "repository": _data(header.repository),
        "budget": _data(header.budget),
        "policy": {
            "version": policy.version if policy else None,
            "digest": policy.digest if policy else None,
            "rule": needs.rule if needs else None,
            "risk": needs.risk if needs else None,
        },
        "call": call.model_dump(mode="json") if call else None,
        "earlier": earlier.model_dump(mode="json") if earlier else None,
    }


def _data(model: Model | None) -> dict[str, Any] | None:
    return None if model is None else model.model_dump(mode="json", exclude_defaults=True)

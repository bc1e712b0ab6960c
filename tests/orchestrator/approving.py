"""Workflows with rules about approvals, and people who decide, for tests."""

from __future__ import annotations

from typing import Any

from contracts.documents.approval_policy import ApprovalPolicy, ApprovalRule
from contracts.documents.todo_list import TodoItem
from contracts.messages.approvals import WantedAction
from contracts.messages.suspension import Suspension
from orchestrator.core.approvals.actions import action_hash
from orchestrator.core.decision import Decision
from orchestrator.core.events import Approve, Finished, Reject, Started
from tests.orchestrator.plans import Play, item, outcome, plan

CALL = WantedAction(
    tool="run",
    arguments='{"command": "make deploy", "seconds": 60}',
    tree="a" * 40,
    files={"Makefile": "b" * 64, "deploy.sh": "c" * 64},
    environment="venv-1",
    rule="commands",
)


def policy(*rules: ApprovalRule, version: str = "1") -> ApprovalPolicy:
    return ApprovalPolicy(version=version, rules=rules)


def rule(name: str, **says: Any) -> ApprovalRule:
    return ApprovalRule(name=name, **says)


RUNS = policy(rule("commands", tools=("run",), risk="high"))


def started(
    rules: ApprovalPolicy | None, *items: TodoItem, start_from: str | None = None, **more: Any
) -> Play:
    """A workflow under these rules, from nothing or a commit."""
    play = Play(plan(*(items or (item("a"), item("b", "a")))), start=False, **more)
    play.workflow.header = play.workflow.header._replace(base_commit=start_from)
    if rules is not None:
        play.workflow.ask_first(rules)
    play.give(Started())
    return play


def waiting() -> Play:
    """A workflow whose only task, from a commit, waits for approval."""
    return started(None, item("a", requires_approval=True, description="Do it", max_retries=3))


def hash_of(play: Play, task_id: str = "a") -> str:
    return action_hash(play.workflow, play.workflow.tasks[task_id])


def approve(play: Play, task_id: str = "a", person: str = "me", wanted: str | None = None) -> Decision:
    return play.give(Approve(task_id, wanted or hash_of(play, task_id), person))


def reject(play: Play, task_id: str = "a", reason: str = "") -> Decision:
    return play.give(Reject(task_id, "me", reason))


def wants(play: Play, call: WantedAction = CALL, task_id: str = "a") -> Decision:
    """Dispatch a task, whose agent wants to make a call."""
    dispatch_id = play.dispatch(task_id)
    suspended = outcome(dispatch_id, status="suspended", suspended=Suspension(action=call))
    return play.give(Finished(task_id, suspended))

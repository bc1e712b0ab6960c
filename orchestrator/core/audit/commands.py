"""What the audit log says of commands."""

from __future__ import annotations

from typing import assert_never

from contracts.messages.budget import UNLIMITED
from orchestrator.core.audit.entries import Actor, AuditEntry, AuditKind, Fact, Via, text_hash
from orchestrator.core.commands import (
    AnswerBody,
    ApproveBody,
    Body,
    BudgetBody,
    CancelBody,
    CommandResult,
    DiscardDeadLetterBody,
    RejectBody,
    RetryBody,
    RetryDeadLetterBody,
    SubmitBody,
    body_text,
)


def asked_entry(command_id: str, workflow_id: str, body: Body, actor: Actor) -> AuditEntry:
    """The entry for a command that is stored; a body that names nobody is of the actor."""
    facts: dict[str, Fact] = {"command": body.kind.value, "command_id": command_id}
    facts |= {"body_sha256": text_hash(body_text(body)), **body_facts(body)}
    return AuditEntry(AuditKind.ASKED, _person(body) or actor.who, actor.via, workflow_id, _task(body), facts)


def result_entry(
    command_id: str, kind: str, workflow_id: str, body: Body | None, result: CommandResult
) -> AuditEntry:
    """The entry for a command that an orchestrator applied or refused; the body is None where unreadable."""
    facts: dict[str, Fact] = {"command": kind, "command_id": command_id}
    if body is not None:
        facts |= body_facts(body)
    if result.refusal is not None:
        facts["reason_sha256"] = text_hash(result.refusal)
    what = AuditKind.APPLIED if result.accepted else AuditKind.REFUSED
    who = (_person(body) if body else None) or "unknown"
    return AuditEntry(what, who, Via.COMMAND, workflow_id, _task(body) if body else None, facts)


def body_facts(body: Body) -> dict[str, Fact]:
    """What is decided, without free text: of that only the hash."""
    facts: dict[str, Fact] = {}
    match body:
        case SubmitBody():
            limits = body.budget.workflow if body.budget else UNLIMITED
            facts |= {"tasks": len(body.plan.items), "base_commit": body.base_commit}
            facts |= {"usd": limits.usd, "tokens": limits.tokens}
        case ApproveBody():
            facts["action_sha256"] = body.action_hash
        case RejectBody():
            facts |= {"action_sha256": body.action_hash, "text_sha256": text_hash(body.reason)}
        case AnswerBody():
            facts |= {"question_sha256": body.question_hash, "text_sha256": text_hash(body.text)}
        case BudgetBody():
            facts |= {"usd": body.limits.usd, "tokens": body.limits.tokens}
        case RetryBody():
            facts["fresh"] = body.fresh
        case RetryDeadLetterBody() | DiscardDeadLetterBody():
            facts["dead_letter"] = body.dead_letter_id
        case CancelBody():
            pass
        case _:
            assert_never(body)
    return facts


def _person(body: Body) -> str | None:
    return None if isinstance(body, SubmitBody) else body.person


def _task(body: Body) -> str | None:
    return body.task_id if isinstance(body, ApproveBody | RejectBody | AnswerBody | RetryBody) else None

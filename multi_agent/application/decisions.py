"""What operators decide about workflows, tasks and dead letters, and what the orchestrator answers.

A function that returns a CommandResult waits for it for a few seconds, and returns None when no
orchestrator has applied the command by then: it stays queued. Workflows are named by an unambiguous
beginning or end of their ids. `person` is who decides. All raise InvalidInput for what does not exist.
"""

from __future__ import annotations

from agents.sdk.exchange_log import ExchangeScope, note_asked_anew
from agents.sdk.questions import said_so_far
from contracts.base.errors import InvalidInput
from contracts.base.processes.command_lines import command_line
from contracts.base.text import encodable
from contracts.documents.approval_policy import RISKS
from contracts.messages.budget import SpendingLimits
from contracts.messages.suspension import MOST_ANSWER, Question
from contracts.ports.exchanges import ExchangeStore
from multi_agent.application.status import find_workflow
from multi_agent.application.waiting import (
    PendingApproval,
    PendingQuestion,
    pending_approvals,
    pending_questions,
)
from orchestrator.client.views import WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import CommandResult
from orchestrator.core.state import TaskStatus

_MOST_LISTED = 100
_LEAST_NAME = 3
RESULT_SECONDS = 5.0
"""How long a result is waited for."""


async def pending_approval(
    client: WorkflowClient, workflow: str | None, task_id: str | None
) -> PendingApproval:
    """Find the task that waits for approval; without a name, the only one.

    Raises InvalidInput when that one does not wait, or when several do and none is named.
    """
    if workflow is None:
        every = await waiting_approvals(client)
        if len(every) == 1:
            return every[0]
        names = ", ".join(f"{one.workflow_id} {one.task_id}" for one in every) or "none"
        raise InvalidInput(f"tasks that wait for approval: {names}; name one of them")
    view = await find_workflow(client, workflow)
    waiting = {one.task_id: one for one in pending_approvals(view)}
    waiting |= {one.task_id: one for one in await _releases(client) if _is_of(one, view)}
    if task_id is None and len(waiting) == 1:
        [task_id] = waiting
    if task_id not in waiting:
        names = ", ".join(waiting) or "none"
        raise InvalidInput(
            f"tasks of {view.header.workflow_id} that wait for approval: {names}; name one of them"
        )
    return waiting[task_id]


async def waiting_approvals(client: WorkflowClient, risk: str = RISKS[-1]) -> list[PendingApproval]:
    """All of at most this risk that wait for approval in the newest workflows."""
    views = await client.waiting(_MOST_LISTED)
    found = [one for view in views for one in pending_approvals(view)] + await _releases(client)
    return [one for one in found if RISKS.index(one.risk) <= RISKS.index(risk)]


async def _releases(client: WorkflowClient) -> list[PendingApproval]:
    return [PendingApproval.of_release(one) for one in await client.releases.waiting(_MOST_LISTED)]


def _is_of(one: PendingApproval, view: WorkflowView) -> bool:
    return one.workflow_id == view.header.workflow_id


async def approve(
    client: WorkflowClient,
    approval: PendingApproval,
    person: str,
    *,
    comment: str = "",
    expected_hash: str | None = None,
) -> CommandResult | None:
    """Allow exactly this action, once. Raises InvalidInput when it does not hash to `expected_hash`."""
    _check_hash(approval, expected_hash)
    if approval.release is not None:
        return await client.releases.decide(approval.release, person, comment, approve=True)
    command_id = await client.approve(
        approval.workflow_id, approval.task_id, approval.action_hash, person, comment=comment
    )
    return await client.result(command_id, RESULT_SECONDS)


async def reject(
    client: WorkflowClient,
    approval: PendingApproval,
    person: str,
    reason: str,
    *,
    expected_hash: str | None = None,
) -> CommandResult | None:
    """Refuse for ever what waits for approval; tasks that depend on a refused task are blocked.

    With `expected_hash` only as it hashes to that, else as it stands when the command is applied. Raises
    InvalidInput when it does not hash to it.
    """
    _check_hash(approval, expected_hash)
    if approval.release is not None:
        return await client.releases.decide(approval.release, person, reason, approve=False)
    command_id = await client.reject(
        approval.workflow_id, approval.task_id, person, reason, action_hash=expected_hash
    )
    return await client.result(command_id, RESULT_SECONDS)


async def pending_question(
    client: WorkflowClient, workflow: str | None, task_id: str | None
) -> PendingQuestion:
    """Find the task that waits for an answer; without a name, the only one.

    Raises InvalidInput when that one does not wait, or when several do and none is named.
    """
    views = [await find_workflow(client, workflow)] if workflow else await client.waiting(_MOST_LISTED)
    asked = [one for view in views for one in pending_questions(view)]
    found = [one for one in asked if task_id in {None, one.task_id}]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{one.workflow_id} {one.task_id}" for one in asked) or "none"
    raise InvalidInput(f"tasks that wait for an answer: {names}; name one of them")


async def answer(
    client: WorkflowClient,
    asked: PendingQuestion,
    text: str,
    person: str,
    *,
    expected_hash: str | None = None,
    may_be_name: bool = False,
) -> CommandResult | None:
    """Answer exactly this question, with a text or the number of a choice.

    may_be_name: whether the text may be what others type for the workflow or the task.
    Raises InvalidInput when the question does not hash to `expected_hash`, and for a text that is no answer.
    """
    _check_hash(asked, expected_hash)
    given = _chosen(asked.question, encodable(text).strip())
    if not given or (not may_be_name and _is_name(asked, given)):
        command = command_line("answer", asked.workflow_id, asked.task_id, "TEXT")
        raise InvalidInput(f"answer {given!r}: is no answer; say what you answer: {command}")
    if len(given) > MOST_ANSWER:
        raise InvalidInput(f"answer: has {len(given)} characters, the limit is {MOST_ANSWER}; shorten it")
    command_id = await client.answer(asked.workflow_id, asked.task_id, asked.action_hash, given, person)
    return await client.result(command_id, RESULT_SECONDS)


def _is_name(asked: PendingQuestion, text: str) -> bool:
    """Whether a text is rather the name of what asks, or its beginning or end: the answer was forgotten."""
    if len(text) < _LEAST_NAME or text in asked.question.choices:
        return False
    return any(name.startswith(text) or name.endswith(text) for name in (asked.workflow_id, asked.task_id))


def _chosen(question: Question, text: str) -> str:
    """The choice that has this number, else the text itself."""
    by_number = {str(number): choice for number, choice in enumerate(question.choices, 1)}
    return text if text in question.choices else by_number.get(text, text)


def _check_hash(pending: PendingApproval | PendingQuestion, expected: str | None) -> None:
    task_id, found = pending.task_id, pending.action_hash
    if expected not in {None, found}:
        if isinstance(pending, PendingQuestion):
            command = command_line("answer", pending.workflow_id, task_id, "--show")
        else:
            command = command_line("approve", pending.workflow_id, task_id, "--show")
        raise InvalidInput(
            f"task {task_id} hashes to {found}, not to {expected}; look at it again with `{command}`"
        )


async def raise_budget(
    client: WorkflowClient, workflow_id: str, limits: SpendingLimits, person: str
) -> CommandResult | None:
    """Raise what the workflow of this id may spend in all."""
    command_id = await client.raise_budget(workflow_id, limits, person)
    return await client.result(command_id, RESULT_SECONDS)


async def cancel(client: WorkflowClient, workflow_id: str, person: str) -> CommandResult | None:
    """End the workflow of this id; what its tasks have committed stays."""
    command_id = await client.cancel(workflow_id, person)
    return await client.result(command_id, RESULT_SECONDS)


async def retry(
    client: WorkflowClient, workflow_id: str, task_id: str | None, person: str
) -> CommandResult | None:
    """Give fresh attempts to one failed task of the workflow of this id, or to all when `task_id` is None."""
    command_id = await client.retry(workflow_id, task_id, person)
    return await client.result(command_id, RESULT_SECONDS)


async def retry_fresh(
    client: WorkflowClient, exchanges: ExchangeStore, workflow: str, task_id: str | None, person: str
) -> CommandResult | None:
    """Give fresh attempts that do not repeat what failed.

    Tests and reviews that said "failed" get another fix. Every other failed task asks its model anew: its
    answers are noted as useless, and a request that holds such a note is another request.
    """
    view = await find_workflow(client, workflow)
    await note_useless_answers(exchanges, view, task_id)
    command_id = await client.retry(view.header.workflow_id, task_id, person, fresh=True)
    return await client.result(command_id, RESULT_SECONDS)


async def note_useless_answers(exchanges: ExchangeStore, view: WorkflowView, task_id: str | None) -> None:
    """Note that the last answers of failed tasks, or of one, were useless; tests that failed get a fix."""
    for task in view.tasks:
        asked = task.attempt > 0 and task.status in {TaskStatus.FAILED, TaskStatus.DEAD}
        if asked and task.verdict != "failed" and task_id in {None, task.task_id}:
            scope = ExchangeScope(view.header.workflow_id, task.task_id, task.attempt)
            await note_asked_anew(exchanges, scope, said_so_far(task.answers))


async def retry_dead_letter(client: WorkflowClient, dead_letter_id: int, person: str) -> CommandResult | None:
    """Give the task of a dead letter fresh attempts, or publish its message again."""
    command_id = await client.retry_dead_letter(dead_letter_id, person)
    return await client.result(command_id, RESULT_SECONDS)


async def discard_dead_letter(
    client: WorkflowClient, dead_letter_id: int, person: str
) -> CommandResult | None:
    """Close a dead letter; nothing else changes."""
    command_id = await client.discard_dead_letter(dead_letter_id, person)
    return await client.result(command_id, RESULT_SECONDS)

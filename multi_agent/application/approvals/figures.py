"""How many of the recorded actions of a data folder a policy asks a person about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from agents.sdk.permits import facts_of
from artifacts.store.inspection import exchanges
from contracts.base.errors import MultiAgentError
from contracts.documents.approval_policy import ActionFacts, ApprovalPolicy
from contracts.ports.content import TextBlock, ToolCall
from contracts.ports.model import ModelResponse
from contracts.ports.text_form import blocks_in
from orchestrator.client.views import WorkflowView

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from orchestrator.client.workflow_client import WorkflowClient

_MOST_WORKFLOWS: Final = 1_000
_MOST_TEXT: Final = 200_000
_RESPONSE: Final = TypeAdapter(ModelResponse)


@dataclass(frozen=True, slots=True)
class RecordedAction:
    """Something that was done: an attempt at a task, a call of a tool, or a release that could be made."""

    facts: ActionFacts
    by_plan: bool = False
    """Whether the plan itself asks for an approval."""


def asked_per_hundred(actions: list[RecordedAction], policy: ApprovalPolicy | None) -> float:
    """Of a hundred actions, how many a person would be asked about; 0 without any action."""
    return 100 * sum(_asks(one, policy) for one in actions) / len(actions) if actions else 0.0


def _asks(action: RecordedAction, policy: ApprovalPolicy | None) -> bool:
    rule = policy.rule_for(action.facts) if policy else None
    return action.by_plan if rule is None else rule.then == "ask"


async def recorded_actions(client: WorkflowClient, store: GitArtifactStore) -> list[RecordedAction]:
    """The actions of the newest workflows, with the calls of tools that their models made.

    Raises StoreUnavailable, ArtifactError.
    """
    newest = [one.header.workflow_id for one in await client.workflows(_MOST_WORKFLOWS)]
    found = [await client.workflow(name) for name in newest]
    views = {view.header.workflow_id: view for view in found if view is not None}
    actions = [one for view in views.values() for one in _of_workflow(view)]
    return actions + await asyncio.to_thread(lambda: list(_calls(store, views)))


def _of_workflow(view: WorkflowView) -> Iterator[RecordedAction]:
    for task in view.tasks:
        facts = ActionFacts("task", task.item.agent_role, task.item.output_artifacts, usd=task.charged.usd)
        yield from [RecordedAction(facts, task.item.requires_approval)] * task.attempt
    if view.header.result_commit is not None:
        paths = tuple(path for task in view.tasks for path in task.item.output_artifacts)
        yield RecordedAction(ActionFacts("apply", paths=paths, usd=0.0))


def _calls(store: GitArtifactStore, views: Mapping[str, WorkflowView]) -> Iterator[RecordedAction]:
    for workflow_id, task_id, content in exchanges(store.repository):
        view = views.get(workflow_id)
        roles = {task.task_id: task.item.agent_role for task in view.tasks} if view else {}
        for name, arguments in _called(content) if task_id in roles else ():
            yield RecordedAction(facts_of(name, roles[task_id], arguments))


def _called(content: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and arguments of the calls in an exchange; nothing of what else is kept there."""
    try:
        blocks = _RESPONSE.validate_python(json.loads(content)["response"]).contents
        texts = [block.text for block in blocks if isinstance(block, TextBlock)]
        calls = [block for block in blocks if isinstance(block, ToolCall)]
        if not calls and sum(map(len, texts)) <= _MOST_TEXT:
            calls = [block for block in blocks_in("\n".join(texts)) if isinstance(block, ToolCall)]
    except (ValueError, KeyError, TypeError, MultiAgentError):
        return
    yield from ((call.name, call.parsed) for call in calls if call.parsed is not None)

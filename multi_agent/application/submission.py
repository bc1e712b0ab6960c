"""Submitting a plan so that whoever interrupts it knows what became of it."""

from __future__ import annotations

import asyncio
from typing import Final

from contracts.documents.todo_list import TodoList
from contracts.messages.payloads import Usage
from multi_agent.application.bases import RepositoryBase
from orchestrator.client.commands import new_workflow_id
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.core.commands import USUAL_TERMS, Terms

DECIDED_SECONDS: Final = 5.0
"""How long an interrupted submission may take to be decided."""


class Submission:
    """One submission, under a name that is known before it begins."""

    def __init__(self) -> None:
        self.workflow_id: str | None = None
        """Set as long as the workflow is stored, or may be."""

    async def submit(
        self,
        client: WorkflowClient,
        plan: TodoList,
        base: RepositoryBase,
        planning: Usage | None,
        *,
        terms: Terms = USUAL_TERMS,
    ) -> str:
        """Submit and return the workflow's id. Raises as WorkflowClient.submit.

        A cancellation waits until it is decided whether the workflow is stored.
        """
        name = self.workflow_id = new_workflow_id(plan)
        submitting = asyncio.ensure_future(
            client.submit(
                plan,
                base_commit=base.commit,
                workflow_id=name,
                planning=planning,
                repository=base.settings,
                terms=terms,
            )
        )
        try:
            return await asyncio.shield(submitting)
        except asyncio.CancelledError:
            await asyncio.wait([submitting], timeout=DECIDED_SECONDS)
            raise
        finally:
            if submitting.done() and submitting.exception() is not None:
                self.workflow_id = None

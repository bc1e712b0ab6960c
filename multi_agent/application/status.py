"""The state of everything, and of one workflow."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.base.errors import InvalidInput
from multi_agent.application.ends.results import OfferedWork, offered_work
from multi_agent.application.waiting import Pending, PendingApproval, PendingBudget, PendingQuestion, pending
from orchestrator.client.views import OrchestratorView, WorkerView, WorkflowOverview, WorkflowView
from orchestrator.client.workflow_client import WorkflowClient
from orchestrator.scheduling.dead_letters import StoredDeadLetter


@dataclass(frozen=True, slots=True)
class Overview:
    """The newest workflows, and the processes that serve them, or served them last."""

    workflows: list[WorkflowOverview]
    orchestrators: list[OrchestratorView]
    workers: list[WorkerView]
    served: bool
    """Whether an orchestrator lives."""
    waiting: tuple[Pending, ...]
    """What waits for a person in the newest workflows in which anything does."""
    dead_letters: list[StoredDeadLetter]

    @property
    def approvals(self) -> tuple[PendingApproval, ...]:
        """Of what waits, what must be approved."""
        return tuple(one for one in self.waiting if isinstance(one, PendingApproval))

    @property
    def questions(self) -> tuple[PendingQuestion, ...]:
        """Of what waits, what must be answered."""
        return tuple(one for one in self.waiting if isinstance(one, PendingQuestion))

    @property
    def budgets(self) -> tuple[PendingBudget, ...]:
        """Of what waits, what needs more to spend."""
        return tuple(one for one in self.waiting if isinstance(one, PendingBudget))


@dataclass(frozen=True, slots=True)
class WorkflowDetails:
    """A workflow with its tasks and its open dead letters."""

    view: WorkflowView
    dead_letters: list[StoredDeadLetter]
    waiting: tuple[Pending, ...]
    """What waits for a person."""
    served: bool
    """Whether an orchestrator lives."""
    offered: OfferedWork | None
    """What it offers, where it has failed."""


async def overview(client: WorkflowClient, limit: int, *, served: bool) -> Overview:
    """Read the newest `limit` workflows, who serves them, and what waits for a person.

    served: whether an orchestrator lives; a dead one could not strike itself and its workers out.
    """
    return Overview(
        await client.workflows(limit),
        await client.orchestrators(),
        await client.workers(),
        served,
        tuple(one for view in await client.waiting(limit) for one in pending(view)),
        await client.dead_letters(limit=limit),
    )


async def find_workflow(client: WorkflowClient, name: str | None) -> WorkflowView:
    """Read one workflow by an unambiguous beginning or end of its id; the newest when None.

    Raises InvalidInput when there is none, several, or only a queued one.
    """
    workflow_id = await client.resolve(name)
    view = await client.workflow(workflow_id)
    if view is None:
        raise InvalidInput(f"workflow {workflow_id} is queued; no orchestrator has created it yet")
    return view


async def workflow_details(client: WorkflowClient, name: str | None, *, served: bool) -> WorkflowDetails:
    """Read one workflow and its open dead letters. Raises as find_workflow."""
    view = await find_workflow(client, name)
    letters = await client.dead_letters(workflow_id=view.header.workflow_id)
    offered = await offered_work(client, view)
    return WorkflowDetails(view, letters, pending(view), served, offered)

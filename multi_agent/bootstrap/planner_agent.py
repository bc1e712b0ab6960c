"""The planner as an agent: it plans a request whose only agent asked for a plan."""

from __future__ import annotations

from agents.roles.context import on_base
from agents.sdk.exchange_log import ExchangeLog
from agents.sdk.registry import agent
from agents.sdk.result import AgentResult
from agents.sdk.task import Task
from contracts.documents.plan_checks import PlanLimits
from contracts.documents.repository_settings import NO_SETTINGS
from contracts.ports.model import ModelRequest, ModelResponse
from planner_service.planning import Planner, PlannerSettings
from planner_service.repository_summary import RepositorySummary

_NAMED = 10


class _Recorded:
    """A model client whose answers are stored with the task, so that none is paid twice."""

    name = "the model"

    def __init__(self, exchanges: ExchangeLog) -> None:
        self._exchanges = exchanges

    async def complete(self, request: ModelRequest) -> ModelResponse:
        return await self._exchanges.complete(request)

    async def close(self) -> None:
        """The worker closes it."""


@agent(role="planner")
class PlannerAgent:
    """Makes a plan from the request, the repository, its tests, and the description: why, what was found.

    Raises InvalidPlan, and what `Task.ask` raises.
    """

    async def run(self, task: Task) -> AgentResult:
        request = task.request
        said = request.repository or NO_SETTINGS
        seen = None
        if request.base_commit is not None:
            seen = RepositorySummary.of(
                task.files,
                await task.map(request.request),
                request.repository,
                tests=await on_base(task),
            )
        limits = PlanLimits(protected=said.protected, in_parts=True)
        planner = Planner(_Recorded(task.exchanges), PlannerSettings(limits=limits))
        plan = await planner.plan(request.request, repository=seen, found=task.item.description)
        names = ", ".join(item.task_id for item in plan.items[:_NAMED])
        return AgentResult(plan=plan, summary=f"{len(plan.items)} tasks: {names}")

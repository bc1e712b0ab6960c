"""Turns a request into a validated plan.

`PlannerService` is for callers without asyncio (multi_agent.facade.planner).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.base.provided import provided
from planner_service.plan_file import write_plan
from planner_service.planning import Planner, PlannerSettings
from planner_service.repository_summary import RepositorySummary
from planner_service.request import todo_list_id
from planner_service.single_plan import single_plan

__all__ = [
    "Planner",
    "PlannerService",
    "PlannerSettings",
    "RepositorySummary",
    "single_plan",
    "todo_list_id",
    "write_plan",
]

__getattr__: Callable[[str], Any] = provided(__name__, "PlannerService")

"""Turns a request into a validated plan."""

from __future__ import annotations

from planner_service.planning import Planner, PlannerSettings
from planner_service.repository import RepositorySummary
from planner_service.request import todo_list_id
from planner_service.service import PlannerService, write_plan

__all__ = ["Planner", "PlannerService", "PlannerSettings", "RepositorySummary", "todo_list_id", "write_plan"]

"""Plans: read from a file, made from a request, checked against the agents that are there."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.base.errors import InvalidInput
from contracts.documents.plan_checks import PlanLimits, parse_plan
from contracts.documents.todo_list import TodoList
from planner_service.repository_summary import RepositorySummary

if TYPE_CHECKING:
    from artifacts import GitArtifactStore
    from planner_service.planning import Planner


def read_plan(path: Path, max_tasks: int, *, hint: str = "") -> TodoList:
    """Read and check a plan. Raises InvalidInput for a file that cannot be read or is no valid plan.

    hint: what the user can do about a file that cannot be read, in words.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"plan {path}: {error.strerror}" + (f"; {hint}" if hint else "")) from None
    return parse_plan(raw, PlanLimits(max_tasks=max_tasks))


async def make_plan(
    planner: Planner, request: str, artifacts: GitArtifactStore | None = None, base: str | None = None
) -> TodoList:
    """Make a plan for a request; with a base commit, for a change of what that commit holds.

    Raises what Planner.plan raises, and ArtifactError for a base that cannot be read.
    """
    repository = None
    if artifacts is not None and base is not None:
        repository = RepositorySummary.of(await artifacts.read_tree(base))
    return await planner.plan(request, repository=repository)


def check_roles(plan: TodoList, served: Collection[str], *, hint: str) -> None:
    """Raise InvalidInput when the plan has a task for a role that no agent serves.

    hint: how the user names a module with agents, such as `--agents MODULE`.
    """
    missing = sorted({item.agent_role for item in plan.items} - set(served))
    if missing:
        known = ", ".join(sorted(served))
        raise InvalidInput(
            f"no agent serves the role {missing[0]!r} (known: {known}); name its module: {hint}"
        )

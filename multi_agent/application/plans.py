"""Plans: read from a file, checked against the agents that are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from contracts.base.errors import InvalidDocument, InvalidInput
from contracts.documents.plan_checks import PlanLimits, parse_plan, protected_problems
from contracts.documents.todo_list import TodoList


def read_plan(path: Path, max_tasks: int, *, hint: str = "") -> TodoList:
    """Read and check a plan. Raises InvalidInput for a file that cannot be read or is no valid plan.

    hint: what the user can do about a file that cannot be read, in words.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"plan {path}: {error.strerror}" + (f"; {hint}" if hint else "")) from None
    return parse_plan(raw, PlanLimits(max_tasks=max_tasks))


def check_protected(plan: TodoList, protected: Sequence[str]) -> None:
    """Raise InvalidDocument when the plan writes what one of these patterns protects."""
    if problems := protected_problems(plan, protected):
        raise InvalidDocument("todo", problems)


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

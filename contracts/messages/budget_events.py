"""Journal events about budgets; see contracts.messages.journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias


class TaskOutOfBudget(NamedTuple):
    """What is left does not bear the next call of the task's model: it waits outside any slot for more."""

    task_id: str
    attempt: int
    needs_usd: float | None
    """What the call may cost, None for nothing, or where that is not counted."""
    needs_tokens: int | None


class TaskResumed(NamedTuple):
    """What is left bears the next call again; the task goes on where it was."""

    task_id: str


class BudgetRaised(NamedTuple):
    """A person raised what the workflow may spend, in all."""

    person: str
    usd: float | None
    """None for no limit."""
    tokens: int | None


BudgetEvent: TypeAlias = TaskOutOfBudget | TaskResumed | BudgetRaised

BUDGET_EVENTS: Final[Mapping[str, type[BudgetEvent]]] = {
    "task.out_of_budget": TaskOutOfBudget,
    "task.resumed": TaskResumed,
    "budget.raised": BudgetRaised,
}
"""The type of each kind."""

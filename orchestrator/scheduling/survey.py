"""What waits, and for how long, over the workflows of an orchestrator: for people who watch. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from orchestrator.core.state import TaskState, TaskStatus, Workflow

WAITS_FOR_A_PERSON: Final = (TaskStatus.APPROVAL, TaskStatus.ANSWER, TaskStatus.BUDGET)
_LEAST_SECONDS: Final = 5.0
_TASKS_A_SECOND: Final = 10_000
"""How many tasks are looked at, at most, in a second on average: that takes less than a hundredth of it."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found at one time."""

    tasks: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(role, status) -> how many tasks that have not ended."""
    queued_seconds: dict[str, float] = field(default_factory=dict)
    """Role -> how long its oldest dispatch has waited for a worker to start it; 0 where all have started."""
    waiting_seconds: dict[str, float] = field(default_factory=dict)
    """Status of WAITS_FOR_A_PERSON -> for how long the oldest such task was seen to be in it."""
    budget_left: float = 1.0
    """The least that any workflow has left of a budget, as a part of it; 1 without budgets."""


class Surveyor:
    """Looks at all tasks from time to time, less often the more there are."""

    def __init__(self) -> None:
        self._due_at = float("-inf")
        self._waits_since: dict[tuple[str, str, str], float] = {}

    def is_due(self, monotonic: float) -> bool:
        """Whether the next survey should be made."""
        return monotonic >= self._due_at

    def survey(
        self, workflows: Iterable[Workflow], is_running: Callable[[str], bool], now: float, monotonic: float
    ) -> Survey:
        """Look at the tasks of these workflows.

        is_running: whether a worker says of a dispatch id that it executes it.
        now: in seconds since 1970.
        """
        found, looked_at, left = Survey(), 0, 1.0
        waits = dict[tuple[str, str, str], float]()
        for workflow in workflows:
            looked_at += len(workflow.tasks)
            left = min(left, _budget_left(workflow))
            for task in workflow.tasks.values():
                if not task.status.terminal:
                    found.tasks[task.item.agent_role, task.status.value] += 1
                    _add_age(found, task, is_running, now)
                if task.status in WAITS_FOR_A_PERSON:
                    key = (workflow.header.workflow_id, task.task_id, task.status.value)
                    waits[key] = self._waits_since.get(key, monotonic)
        self._waits_since = waits
        for (_, _, status), since in waits.items():
            age = max(found.waiting_seconds.get(status, 0.0), monotonic - since)
            found.waiting_seconds[status] = age
        self._due_at = monotonic + max(_LEAST_SECONDS, looked_at / _TASKS_A_SECOND)
        return replace(found, budget_left=left)


def _add_age(found: Survey, task: TaskState, is_running: Callable[[str], bool], now: float) -> None:
    if task.status is TaskStatus.DISPATCHED and task.dispatch_id:
        role, queued = task.item.agent_role, 0.0 if is_running(task.dispatch_id) else now - task.dispatched_at
        found.queued_seconds[role] = max(found.queued_seconds.get(role, 0.0), queued)


def _budget_left(workflow: Workflow) -> float:
    """The least part of a limit of the whole workflow that is left."""
    budget, totals = workflow.header.budget, workflow.totals
    if budget is None or totals is None:
        return 1.0
    limit, left = budget.workflow, totals.left(budget)
    pairs = ((left.micro_usd, limit.micro_usd), (left.tokens, limit.tokens))
    return min([1.0, *(one / most for one, most in pairs if one is not None and most)])

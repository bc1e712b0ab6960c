"""What agents of a schedule ask for instead of their own work: a plan, or a second look at tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Final

from contracts.base.paths import EVERYWHERE
from contracts.base.refs import is_amendment
from contracts.documents.todo_list import Role, TodoItem, TodoList
from contracts.messages.payloads import Contested, PlanWanted
from orchestrator.core.contest import MOST
from orchestrator.core.state import TaskState
from tests.simulation.choices import Choices
from tests.simulation.violations import check

_WANTED: Final = PlanWanted(reason="it has parts")
_PLAN: Final = TodoList(
    todo_list_id="parts",
    request="build it",
    items=(
        TodoItem(task_id="t0", title="code", agent_role=Role.CODER, output_artifacts=("a.py",)),
        TodoItem(
            task_id="look",
            title="look",
            agent_role=Role.TESTER,
            dependencies=("t0",),
            output_artifacts=("tests/test_a.py",),
        ),
    ),
)
_CONTESTED: Final = tuple(
    Contested(tests=(f"tests/test_{number}.py::test_it",), reason="wrong", of_repository=number == 0)
    for number in range(3)
)
"""Few, so that one is contested twice."""


def asked(item: TodoItem, choices: Choices) -> dict[str, Any]:
    """The fields of an outcome with which a task asks for something, {} for none."""
    if item.agent_role == Role.PLANNER:
        return {"plan": _PLAN}
    if item.agent_role == Role.CODER and EVERYWHERE in item.output_artifacts and choices.below(2):
        return {"plan_wanted": _WANTED}
    may_contest = item.agent_role == Role.DEBUGGER or "src/" in item.output_artifacts
    number = choices.below(2 * len(_CONTESTED)) if may_contest else 0
    return {"contested": _CONTESTED[number - 1]} if 0 < number <= len(_CONTESTED) else {}


def check_asked(tasks: Collection[TaskState]) -> tuple[int, int, int]:
    """How many plans, looks at tests and answers its agents got: at most one, two, at no test twice."""
    plans = sum(task.item.agent_role == Role.PLANNER for task in tasks)
    looks = [task.item for task in tasks if task.cycle and is_amendment(task.task_id)]
    tests = Counter(test.cmd for item in looks for test in item.acceptance_criteria.tests)
    check(plans <= 1, "planned twice")
    check(len(looks) <= MOST, "tests were looked at too often")
    check(all(count == 1 for count in tests.values()), "a test was looked at twice")
    return plans, len(looks), sum(len(task.answers) for task in tasks)

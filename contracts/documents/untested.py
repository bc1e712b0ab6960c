"""Finds code of a plan that no test looks at."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.base.languages import is_code
from contracts.documents.todo_list import Role, TodoItem

_CODERS = frozenset({Role.CODER, Role.DEBUGGER})


def untested(items: Sequence[TodoItem]) -> list[int]:
    """Return the positions of the tasks that may write code and that no tester's task comes after.

    Near-linear in tasks and dependencies; unknown dependencies count as none.
    """
    needs = {item.task_id: item.dependencies for item in items}
    queue = [item.task_id for item in items if item.agent_role == Role.TESTER]
    looked_at = set(queue)
    while queue:
        fresh = [name for name in needs.get(queue.pop(), ()) if name not in looked_at]
        looked_at.update(fresh)
        queue += fresh
    return [
        number
        for number, item in enumerate(items)
        if item.agent_role in _CODERS
        and item.task_id not in looked_at
        and any(map(is_code, item.output_artifacts))
    ]

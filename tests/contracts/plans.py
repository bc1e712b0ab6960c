"""Small plans for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.documents.todo_list import TodoItem, TodoList


def item(task_id: str, *dependencies: str, **fields: Any) -> TodoItem:
    """A coder's task."""
    content = {"title": task_id, "agent_role": "coder"} | fields
    return TodoItem(task_id=task_id, dependencies=dependencies, **content)


def plan(*items: TodoItem) -> TodoList:
    """A plan of these tasks."""
    return TodoList(todo_list_id="p", request="r", items=items)


def plan_of(dependencies: Mapping[str, Iterable[str]]) -> TodoList:
    """A plan from ids and whom each waits for."""
    return plan(*(item(name, *others) for name, others in dependencies.items()))

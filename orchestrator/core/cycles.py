"""The bounded test-debug cycle: what is added to a workflow when a test report says "failed"."""

from __future__ import annotations

from contracts.documents.todo_list import Role, TodoItem
from orchestrator.core.state import TaskState, TaskStatus, Workflow

MAX_OUTPUTS = 200
MAX_ORIGIN = 85
"""Limits of the TodoList's schema: outputs of a task, and what is left of an id for `.retest10`."""


def debug_cycle(workflow: Workflow, test: TaskState) -> list[TaskState]:
    """A fix, a repetition of the test, and new versions of its dependents; [] when no cycle is due.

    The test counts as succeeded, because it found something. The first task is the fix, which is ready.
    """
    item = test.item
    if item.agent_role != Role.TESTER or test.cycle >= item.max_cycles:
        return []
    writable = _folded(_code_under_test(workflow, test))
    cycle = test.cycle + 1
    origin = item.task_id.removesuffix(f".retest{test.cycle}") if test.cycle else item.task_id
    if not writable or len(writable) > MAX_OUTPUTS or len(origin) > MAX_ORIGIN:
        return []
    fix = _fix(item, f"{origin}.fix{cycle}", f"Fix what {origin} found (cycle {cycle})", writable)
    again = item.model_copy(
        update={
            "task_id": f"{origin}.retest{cycle}",
            "title": f"Run the tests of {origin} again (cycle {cycle})",
            "dependencies": (fix.task_id,),
            "requires_approval": False,
        }
    )
    rewired = [
        workflow.tasks[name]._replace(
            dependencies=tuple(
                again.task_id if dependency == item.task_id else dependency
                for dependency in workflow.tasks[name].dependencies
            ),
        )
        for name in workflow.dependents[item.task_id]
    ]
    return [
        TaskState(fix, fix.dependencies, TaskStatus.READY, cycle=cycle),
        TaskState(again, again.dependencies, cycle=cycle),
        *rewired,
    ]


def _fix(test: TodoItem, task_id: str, title: str, writable: tuple[str, ...]) -> TodoItem:
    """The debugger's task, with the timeout, retries and priority of the test it follows."""
    return TodoItem(
        task_id=task_id,
        title=title,
        description=test.description,
        agent_role=Role.DEBUGGER,
        dependencies=(test.task_id,),
        input_artifacts=test.input_artifacts,
        output_artifacts=writable,
        max_retries=test.max_retries,
        timeout_seconds=test.timeout_seconds,
        priority=test.priority,
    )


def _folded(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The paths, or their folders when they are more than a task can name."""
    if len(paths) <= MAX_OUTPUTS:
        return paths
    return tuple(dict.fromkeys(f"{path.rpartition('/')[0]}/" if "/" in path else path for path in paths))


def _code_under_test(workflow: Workflow, test: TaskState) -> tuple[str, ...]:
    """Everything the coders and debuggers before the test may write.

    Tests are left out: a fix must not edit the test that judges it.
    """
    seen: set[str] = set()
    queue = list(test.dependencies)
    writable: dict[str, None] = {}
    while queue:
        name = queue.pop(0)
        if name in seen:
            continue
        seen.add(name)
        task = workflow.tasks[name]
        queue.extend(task.dependencies)
        if task.item.agent_role in {Role.CODER, Role.DEBUGGER}:
            writable.update(dict.fromkeys(task.item.output_artifacts))
    return tuple(writable)

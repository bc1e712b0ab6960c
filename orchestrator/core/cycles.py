"""The bounded debug cycle: what is added to a workflow when a test or review report says "failed"."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.documents.todo_list import Role, TodoItem
from orchestrator.core.state import TaskState, TaskStatus, Workflow

MAX_OUTPUTS = 200
MAX_ORIGIN = 85
"""Limits of the TodoList's schema: outputs of a task, and what is left of an id for `.retest10`."""

_JUDGES = frozenset({Role.TESTER, Role.REVIEWER})
_CODERS = frozenset({Role.CODER, Role.DEBUGGER})


def debug_cycle(workflow: Workflow, judge: TaskState, *, past_limit: bool = False) -> list[TaskState]:
    """A fix, a repetition of what judged, and new versions of its dependents; [] when no cycle is due.

    What a review sends back is tested again before it is reviewed again. The judging task counts as
    succeeded, because it found something. The first task is the fix, which is ready. `past_limit`: also when
    its cycles are used up.
    """
    item = judge.item
    if item.agent_role not in _JUDGES or (judge.cycle >= item.max_cycles and not past_limit):
        return []
    before = _ancestors(workflow, judge)
    writable = _folded(_code(before))
    cycle, origin = _next_cycle(workflow, judge), origin_of(judge)
    if not writable or len(writable) > MAX_OUTPUTS:
        return []
    tests = _newest_tests(before) if item.agent_role == Role.REVIEWER else []
    if any(len(origin_of(task)) > MAX_ORIGIN for task in (judge, *tests)):
        return []
    fix = _fix(item, f"{origin}.fix{cycle}", f"Fix what {origin} found (cycle {cycle})", writable)
    retests = [_again(workflow, test, (fix.task_id,)) for test in tests]
    again = _again(workflow, judge, tuple(task.task_id for task in retests) or (fix.task_id,))
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
        *retests,
        again,
        *rewired,
    ]


def origin_of(task: TaskState) -> str:
    """The id of the plan's task that a test or review is a repetition of."""
    return task.task_id.removesuffix(f".retest{task.cycle}") if task.cycle else task.task_id


def _next_cycle(workflow: Workflow, task: TaskState) -> int:
    """The next number whose ids are free: two reviews may have the same test repeated."""
    origin, cycle = origin_of(task), task.cycle + 1
    while f"{origin}.fix{cycle}" in workflow.tasks or f"{origin}.retest{cycle}" in workflow.tasks:
        cycle += 1
    return cycle


def _again(workflow: Workflow, task: TaskState, dependencies: tuple[str, ...]) -> TaskState:
    """The repetition of a test or review."""
    origin, cycle = origin_of(task), _next_cycle(workflow, task)
    what = "Review" if task.item.agent_role == Role.REVIEWER else "Run the tests of"
    item = task.item.model_copy(
        update={
            "task_id": f"{origin}.retest{cycle}",
            "title": f"{what} {origin} again (cycle {cycle})",
            "dependencies": dependencies,
            "requires_approval": False,
        }
    )
    return TaskState(item, dependencies, cycle=cycle)


def _fix(judge: TodoItem, task_id: str, title: str, writable: tuple[str, ...]) -> TodoItem:
    """The debugger's task, with the timeout, retries and priority of the task it follows."""
    return TodoItem(
        task_id=task_id,
        title=title,
        description=judge.description,
        agent_role=Role.DEBUGGER,
        dependencies=(judge.task_id,),
        input_artifacts=judge.input_artifacts,
        output_artifacts=writable,
        max_retries=judge.max_retries,
        timeout_seconds=judge.timeout_seconds,
        priority=judge.priority,
    )


def _folded(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The paths, or their folders when they are more than a task can name."""
    if len(paths) <= MAX_OUTPUTS:
        return paths
    return tuple(dict.fromkeys(f"{path.rpartition('/')[0]}/" if "/" in path else path for path in paths))


def _ancestors(workflow: Workflow, task: TaskState) -> list[TaskState]:
    """What a task depends on, directly or indirectly, the nearest first."""
    seen: dict[str, TaskState] = {}
    queue = list(task.dependencies)
    while queue:
        name = queue.pop(0)
        if name not in seen:
            seen[name] = workflow.tasks[name]
            queue.extend(workflow.tasks[name].dependencies)
    return list(seen.values())


def _code(tasks: Iterable[TaskState]) -> tuple[str, ...]:
    """Everything the coders and debuggers among `tasks` may write.

    Tests are left out: a fix must not edit the test that judges it.
    """
    coders = (task for task in tasks if task.item.agent_role in _CODERS)
    return tuple(dict.fromkeys(path for task in coders for path in task.item.output_artifacts))


def _newest_tests(tasks: Iterable[TaskState]) -> list[TaskState]:
    """The tests among `tasks`, of each the last repetition."""
    newest: dict[str, TaskState] = {}
    for task in tasks:
        if task.item.agent_role == Role.TESTER:
            known = newest.setdefault(origin_of(task), task)
            if task.cycle > known.cycle:
                newest[origin_of(task)] = task
    return list(newest.values())

"""The bounded debug cycle: what is added to a workflow when a test or review report says "failed"."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.base.refs import is_amendment
from contracts.base.text import bounded
from contracts.documents.todo_list import Role, TodoItem
from orchestrator.core.state import TaskState, TaskStatus, Workflow

MAX_OUTPUTS = 200
MAX_ORIGIN = 85
"""Limits of the TodoList's schema: outputs of a task, and what is left of an id for `.retest10`."""

_MAX_ASKED, _MAX_CODERS, _MAX_SAID = 5_000, 10, 2_000
"""Of what a fix is told: characters of a coder's task, how many of them, and characters of a summary."""

_JUDGES = frozenset({Role.TESTER, Role.REVIEWER})
_CODERS = frozenset({Role.CODER, Role.DEBUGGER})


def debug_cycle(workflow: Workflow, judge: TaskState, *, past_limit: bool = False) -> list[TaskState]:
    """A fix, a repetition of what judged, and new versions of its dependents; [] when no cycle is due.

    What a review sends back is tested again before it is reviewed again. The judging task counts as
    succeeded, because it found something. The first task is the fix, which is ready. `past_limit`: also when
    its cycles are used up.
    """
    item = judge.item
    if item.agent_role not in _JUDGES:
        return []
    if _fixes_so_far(workflow, judge) >= item.max_cycles and not past_limit:
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
    if workflow.header.base_commit is not None:
        fix = _informed(workflow, judge, fix, before)
    retests = [_again(workflow, test, (fix.task_id,)) for test in tests]
    again = _again(workflow, judge, tuple(task.task_id for task in retests) or (fix.task_id,))
    return [
        TaskState(fix, fix.dependencies, TaskStatus.READY, cycle=cycle),
        *retests,
        again,
        *rewired(workflow, item.task_id, (again.task_id,)),
    ]


def rewired(workflow: Workflow, task_id: str, instead: tuple[str, ...]) -> list[TaskState]:
    """New versions of a task's dependents, which wait for others in its place."""
    return [
        dependent._replace(
            dependencies=tuple(
                dict.fromkeys(
                    name
                    for needed in dependent.dependencies
                    for name in (instead if needed == task_id else (needed,))
                )
            )
        )
        for dependent in (workflow.tasks[name] for name in workflow.dependents[task_id])
    ]


def origin_of(task: TaskState) -> str:
    """The id of the plan's task that a test or review is a repetition of."""
    return task.task_id.removesuffix(f".retest{task.cycle}") if task.cycle else task.task_id


def _fixes_so_far(workflow: Workflow, judge: TaskState) -> int:
    """How many fixes its findings have had. Less than its number where reviews had it repeated."""
    fixes = f"{origin_of(judge)}.fix"
    tasks = workflow.tasks.values()
    return sum(1 for task in tasks if task.cycle and task.task_id == f"{fixes}{task.cycle}")


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


def _informed(workflow: Workflow, judge: TaskState, fix: TodoItem, before: list[TaskState]) -> TodoItem:
    """The fix with what was asked of the coders, how many cycles there are, and what earlier ones came to."""
    origin, number = origin_of(judge), _fixes_so_far(workflow, judge) + 1
    coders = [task.item for task in reversed(before) if task.item.agent_role == Role.CODER][-_MAX_CODERS:]
    asked = [
        bounded(f"{item.title}\n\n{item.description}".strip(), _MAX_ASKED) for item in coders[-_MAX_CODERS:]
    ]
    tried = [task for task in reversed(before) if task.task_id.startswith(f"{origin}.") and task.cycle]
    said = [f"{task.task_id}: {bounded(task.summary, _MAX_SAID)}" for task in (*tried, judge)]
    parts = ["What was asked of who wrote the code:", *asked, "What was tried and seen since:", *said]
    of = f" of {judge.item.max_cycles}" if number <= judge.item.max_cycles else ""
    title = f"Fix what {origin} found (cycle {number}{of})"
    return fix.model_copy(update={"title": title, "description": "\n\n".join(parts)})


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
        if task.item.agent_role == Role.TESTER and not (task.cycle and is_amendment(task.task_id)):
            known = newest.setdefault(origin_of(task), task)
            if task.cycle > known.cycle:
                newest[origin_of(task)] = task
    return list(newest.values())

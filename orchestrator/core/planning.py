"""Plans that agents ask for: a workflow of one agent that goes on with several."""

from __future__ import annotations

from contracts.base.errors import MultiAgentError
from contracts.base.paths import EVERYWHERE
from contracts.documents.plan_checks import PlanLimits, check_plan
from contracts.documents.todo_list import Role, TodoItem, TodoList
from contracts.messages.payloads import PlanWanted
from orchestrator.core.approvals.actions import first_status
from orchestrator.core.cycles import rewired
from orchestrator.core.state import Header, TaskState, TaskStatus, Workflow

_SUFFIX = ".plan"
_MAX_ID = 100 - len(_SUFFIX)
_SHOWN = 5


class PlanRefused(MultiAgentError):
    """A plan is not asked for, or cannot be followed; the message says why."""


def ask_for_plan(workflow: Workflow, task: TaskState, wanted: PlanWanted) -> list[TaskState]:
    """The planner's task, which is ready, and new versions of what waits for the task that asks.

    Only who was given everything may ask, and only once a workflow. Raises PlanRefused.
    """
    item = task.item
    if item.agent_role != Role.CODER or EVERYWHERE not in item.output_artifacts:
        raise PlanRefused("only an agent that was given the whole request may ask for a plan")
    if any(other.item.agent_role == Role.PLANNER for other in workflow.tasks.values()):
        raise PlanRefused("there was a plan already, and a workflow is planned once")
    name = item.task_id + _SUFFIX
    if len(item.task_id) > _MAX_ID or name in workflow.tasks:
        raise PlanRefused(f"no task can be called {name}")
    planner = TodoItem(
        task_id=name,
        title="Plan the request, as its agent asks for",
        description="\n\n".join(filter(None, (wanted.reason, wanted.found))),
        agent_role=Role.PLANNER,
        dependencies=(item.task_id,),
        max_retries=item.max_retries,
        timeout_seconds=item.timeout_seconds,
        priority=item.priority,
    )
    ready = TaskState(planner, planner.dependencies, TaskStatus.READY)
    return [ready, *rewired(workflow, item.task_id, (name,))]


def follow_plan(workflow: Workflow, task: TaskState, plan: TodoList | None) -> list[TaskState]:
    """The tasks of a plan, and new versions of what waits for the task that planned: for the last of them.

    Raises PlanRefused.
    """
    if plan is None or task.item.agent_role != Role.PLANNER:
        raise PlanRefused("only a planner plans")
    said = workflow.header.repository
    limits = PlanLimits(protected=said.protected if said else (), in_parts=True)
    problems = [str(one) for one in check_plan(plan, limits)]
    problems += [f"{item.task_id} would plan again" for item in plan.items if item.agent_role == Role.PLANNER]
    if problems:
        raise PlanRefused("the plan cannot be followed: " + "; ".join(problems[:_SHOWN]))
    items = _renamed(workflow, plan)
    needed = {name for item in items for name in item.dependencies}
    last = tuple(item.task_id for item in items if item.task_id not in needed)
    first = (task.task_id,)
    added = [_added(workflow.header, item, item.dependencies or first) for item in items]
    return [*added, *rewired(workflow, task.task_id, last)]


def _added(header: Header, item: TodoItem, dependencies: tuple[str, ...]) -> TaskState:
    waits = TaskStatus.WAITING if item.dependencies else first_status(header, item)
    return TaskState(item, dependencies, waits)


def _renamed(workflow: Workflow, plan: TodoList) -> list[TodoItem]:
    """The items, none of which is called as a task of the workflow; branches do not tell case apart."""
    taken = {name.casefold() for name in workflow.tasks}
    names: dict[str, str] = {}
    for item in plan.items:
        name, number = item.task_id, 2
        while name.casefold() in taken:
            name, number = f"{item.task_id[:90]}-{number}", number + 1
        taken.add(name.casefold())
        names[item.task_id] = name
    return [
        item.model_copy(
            update={
                "task_id": names[item.task_id],
                "dependencies": tuple(names[needed] for needed in item.dependencies),
            }
        )
        for item in plan.items
    ]

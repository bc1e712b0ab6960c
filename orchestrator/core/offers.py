"""What a failed workflow has to offer: the accepted outcomes that no other accepted outcome contains."""

from __future__ import annotations

from contracts.base.refs import UNVERIFIED
from contracts.documents.todo_list import Role
from orchestrator.core.state import TaskState, TaskStatus, Workflow


def accepted_tips(workflow: Workflow) -> list[TaskState]:
    """The tasks whose commits hold all that was accepted, in the order of the plan.

    Empty where a task has the name of the offer, which only the first release allowed.
    """
    if UNVERIFIED in workflow.tasks:
        return []
    accepted = [task for task in workflow.tasks.values() if is_accepted(task)]
    contained: set[str] = set()
    queue = [name for task in accepted for name in task.dependencies]
    while queue:
        name = queue.pop()
        if name not in contained:
            contained.add(name)
            queue.extend(workflow.tasks[name].dependencies)
    return [task for task in accepted if task.task_id not in contained]


def accepted_below(workflow: Workflow, task: TaskState) -> list[TaskState]:
    """The nearest accepted outcomes that a task started from."""
    found: dict[str, TaskState] = {}
    queue = list(task.dependencies)
    while queue:
        below = workflow.tasks[queue.pop(0)]
        if is_accepted(below):
            found[below.task_id] = below
        else:
            queue.extend(below.dependencies)
    return list(found.values())


def is_accepted(task: TaskState) -> bool:
    """Whether the task left a commit; also one that ran its tests, or looked, and said "failed".

    And one that is unfinished.
    """
    done = task.status is TaskStatus.SUCCEEDED
    said_no = task.status is TaskStatus.FAILED and task.verdict == "failed"
    return (task.commit is not None and (done or said_no)) or is_unfinished(task)


def is_unfinished(task: TaskState) -> bool:
    """Whether a coder failed, and left what it had after its last step."""
    ended = task.status in {TaskStatus.FAILED, TaskStatus.DEAD} and task.verdict is None
    return ended and task.commit is not None and task.item.agent_role == Role.CODER

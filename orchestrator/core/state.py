"""A workflow as its owner holds it in memory: frozen values, whose versions replace each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from contracts.documents.todo_list import TodoItem, TodoList
from contracts.messages.events import TaskError, TestSummary, Usage


class TaskStatus(StrEnum):
    """Where a task stands. WAITING and APPROVAL wait for something named; the last five are terminal."""

    WAITING = "waiting"
    APPROVAL = "waiting_approval"
    READY = "ready"
    DISPATCHED = "dispatched"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    DEAD = "dead_lettered"

    @property
    def terminal(self) -> bool:
        """Whether nothing but a person's `retry` changes it any more."""
        return self in _TERMINAL


# A tuple finds a member by identity; a set would hash it, which enums do in Python.
_TERMINAL = (
    TaskStatus.SUCCEEDED,
    TaskStatus.FAILED,
    TaskStatus.BLOCKED,
    TaskStatus.CANCELLED,
    TaskStatus.DEAD,
)


class WorkflowStatus(StrEnum):
    """MERGING: every task succeeded and the outcome is being merged."""

    RUNNING = "running"
    MERGING = "merging"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the workflow has ended."""
        return self not in {WorkflowStatus.RUNNING, WorkflowStatus.MERGING}


NO_USAGE = Usage()


class TaskState(NamedTuple):
    """One version of a task.

    dependencies may differ from the plan's: a test-debug cycle puts new tasks in between. attempt counts
    dispatches; failures, crashes and outages (of what an attempt needed, such as a sandbox) what became of
    them. A suspect was in the hands of a worker that died, and runs alone until it ends. not_before and
    dispatched_at are seconds since 1970.
    """

    item: TodoItem
    dependencies: tuple[str, ...]
    status: TaskStatus = TaskStatus.WAITING
    cycle: int = 0
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    outages: int = 0
    suspect: bool = False
    dispatch_id: str | None = None
    dispatched_at: float = 0.0
    not_before: float = 0.0
    parents: tuple[str, ...] = ()
    approved_hash: str | None = None
    commit: str | None = None
    verdict: str | None = None
    summary: str = ""
    tests: TestSummary | None = None
    backend: str = ""
    error: TaskError | None = None
    usage: Usage = NO_USAGE
    seconds: float = 0.0

    @property
    def task_id(self) -> str:
        """The plan's name for the task."""
        return self.item.task_id

    @property
    def heads(self) -> tuple[str, ...]:
        """The commits that hold what this task and all before it produced."""
        return (self.commit,) if self.commit else self.parents


class Header(NamedTuple):
    """One version of what a workflow is apart from its tasks. `open_tasks` counts the not yet terminal."""

    workflow_id: str
    todo_list_id: str
    request: str
    shard: int
    created_at: float
    open_tasks: int
    base_commit: str | None = None
    status: WorkflowStatus = WorkflowStatus.RUNNING
    reason: str = ""
    result_commit: str | None = None
    finished_at: float | None = None


@dataclass(slots=True)
class Workflow:
    """A header, the tasks in plan order, and the graph derived from them."""

    header: Header
    tasks: dict[str, TaskState] = field(default_factory=dict)
    dependents: dict[str, list[str]] = field(default_factory=dict)
    unmet: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, header: Header, tasks: Iterable[TaskState]) -> Workflow:
        """Build the graph from stored versions."""
        workflow = cls(header, {task.task_id: task for task in tasks})
        workflow.dependents = {task_id: [] for task_id in workflow.tasks}
        for task in workflow.tasks.values():
            workflow._link(task)
        return workflow

    @classmethod
    def start(
        cls, workflow_id: str, plan: TodoList, *, shard: int, now: float, base_commit: str | None = None
    ) -> Workflow:
        """A new workflow in which nothing has happened yet. The plan must have passed its checks."""
        header = Header(
            workflow_id, plan.todo_list_id, plan.request, shard, now, len(plan.items), base_commit=base_commit
        )
        return cls.load(header, (TaskState(item, item.dependencies) for item in plan.items))

    def evolve(self, header: Header | None, tasks: Iterable[TaskState]) -> None:
        """Replace versions in place; the cost is that of the changed tasks and their direct neighbours."""
        if header is not None:
            self.header = header
        for task in tasks:
            old = self.tasks.get(task.task_id)
            self.tasks[task.task_id] = task
            if old is None:
                self.dependents.setdefault(task.task_id, [])
                self._link(task)
            elif old.dependencies != task.dependencies:
                self._unlink(old)
                self._link(task)
            if (old is not None and old.status is TaskStatus.SUCCEEDED) != (
                task.status is TaskStatus.SUCCEEDED
            ):
                step = -1 if task.status is TaskStatus.SUCCEEDED else 1
                for dependent in self.dependents[task.task_id]:
                    self.unmet[dependent] += step

    def _link(self, task: TaskState) -> None:
        self.unmet[task.task_id] = sum(
            1
            for dependency in task.dependencies
            if (known := self.tasks.get(dependency)) is None or known.status is not TaskStatus.SUCCEEDED
        )
        for dependency in task.dependencies:
            self.dependents.setdefault(dependency, []).append(task.task_id)

    def _unlink(self, task: TaskState) -> None:
        for dependency in task.dependencies:
            self.dependents[dependency].remove(task.task_id)

    def parents_of(self, task: TaskState) -> tuple[str, ...]:
        """The commits a task starts from, each once, in the order of its dependencies."""
        if not task.dependencies:
            return (self.header.base_commit,) if self.header.base_commit else ()
        heads = (head for name in task.dependencies for head in self.tasks[name].heads)
        return tuple(dict.fromkeys(heads))

    def sinks(self) -> list[TaskState]:
        """Tasks on which nothing depends."""
        return [task for task_id, task in self.tasks.items() if not self.dependents[task_id]]

"""A workflow in memory: frozen values, whose versions replace each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from contracts.documents.approval_policy import ApprovalPolicy
from contracts.documents.repository_settings import RepositorySettings
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.messages.approvals import Approval, WantedAction
from contracts.messages.budget import NOTHING, Amount, Budget, SpendingLimits
from contracts.messages.payloads import ReviewSummary, TaskError, TestSummary, Usage
from contracts.messages.suspension import Answered, Question
from orchestrator.core.totals import TaskSpending, Totals


class TaskStatus(StrEnum):
    """The state of a task; the last five are terminal.

    WAITING is for dependencies, APPROVAL for a person to allow the task or a call of its agent, ANSWER for
    what its agent asked a person, BUDGET for more than is left to spend.
    """

    WAITING = "waiting"
    APPROVAL = "waiting_approval"
    ANSWER = "waiting_answer"
    BUDGET = "waiting_budget"
    READY = "ready"
    DISPATCHED = "dispatched"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    DEAD = "dead_lettered"

    @property
    def terminal(self) -> bool:
        """Whether only a person's `retry` can change it."""
        return self in _TERMINAL


# A tuple finds a member by identity; a set would hash it, which enums do in Python.
_TERMINAL = (
    *(TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.BLOCKED, TaskStatus.CANCELLED, TaskStatus.DEAD),
)


class WorkflowStatus(StrEnum):
    """The state of a workflow."""

    RUNNING = "running"
    MERGING = "merging"
    """Every task succeeded and their commits are being merged."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the workflow has ended."""
        return self not in {WorkflowStatus.RUNNING, WorkflowStatus.MERGING}


NO_USAGE = Usage()


class TaskState(NamedTuple):
    """One version of a task."""

    item: TodoItem
    """The task as the plan has it."""
    dependencies: tuple[str, ...]
    """May differ from the plan's: a test-debug cycle puts new tasks in between."""
    status: TaskStatus = TaskStatus.WAITING
    cycle: int = 0
    """The debug cycle that added the task, 0 for one of the plan."""
    attempt: int = 0
    """How often the task was dispatched."""
    failures: int = 0
    """Attempts that failed."""
    crashes: int = 0
    """Attempts whose worker died while it executed nothing else."""
    outages: int = 0
    """Attempts that found something unavailable that they needed, such as a sandbox."""
    suspect: bool = False
    """Whether a worker died that held the task; it runs alone until it ends."""
    dispatch_id: str | None = None
    """The current dispatch, None when the task is not dispatched."""
    dispatched_at: float = 0.0
    """Seconds since 1970."""
    not_before: float = 0.0
    """When the task may be dispatched again, in seconds since 1970."""
    parents: tuple[str, ...] = ()
    """The commits that the last dispatch started from."""
    approval: Approval | None = None
    """What a person last decided about the task."""
    wanted: WantedAction | None = None
    """The call that its agent wants to make, None when a person need not allow any."""
    granted: Approval | None = None
    """What a person last decided about such a call."""
    refused: tuple[tuple[str, str], ...] = ()
    """Calls that a person refused: their digest, and why."""
    commit: str | None = None
    """What the accepted outcome committed."""
    verdict: str | None = None
    """`passed` or `failed`, of tasks that test or review."""
    summary: str = ""
    tests: TestSummary | None = None
    review: ReviewSummary | None = None
    backend: str = ""
    """The sandbox backend that the tests ran in."""
    error: TaskError | None = None
    """The last error, None after success."""
    usage: Usage = NO_USAGE
    """The sum over all attempts."""
    seconds: float = 0.0
    """How long the attempts took together."""
    question: Question | None = None
    """What waits for an answer, None when nothing does."""
    answers: tuple[Answered, ...] = ()
    """What was asked and answered, oldest first."""
    allowance: SpendingLimits | None = None
    """What the current dispatch may spend, None when there is none, or nothing limits it."""
    charged: Amount = NOTHING
    """What all dispatches before have spent, as far as a budget counts it."""
    unknown: tuple[tuple[str, Amount], ...] = ()
    """Dispatches that were charged in full, until a later one says what they have spent."""
    needs: Amount | None = None
    """What the next dispatch needs at least, None when it is not known."""

    @property
    def task_id(self) -> str:
        """The task's id in the plan."""
        return self.item.task_id

    @property
    def heads(self) -> tuple[str, ...]:
        """The commits that hold what this task and all tasks before it produced."""
        return (self.commit,) if self.commit else self.parents

    @property
    def spending(self) -> TaskSpending:
        """What counts against a budget."""
        return TaskSpending(
            self.item.agent_role,
            self.charged,
            self.allowance.amount if self.allowance else NOTHING,
            unsent=not self.status.terminal and self.status is not TaskStatus.DISPATCHED,
            waits=self.status is TaskStatus.BUDGET,
        )


class Header(NamedTuple):
    """One version of a workflow apart from its tasks."""

    workflow_id: str
    todo_list_id: str
    request: str
    shard: int
    created_at: float
    """Seconds since 1970."""
    open_tasks: int
    """How many tasks are not terminal."""
    base_commit: str | None = None
    """The commit that the first tasks start from."""
    repository: RepositorySettings | None = None
    """What that commit says about work in it."""
    status: WorkflowStatus = WorkflowStatus.RUNNING
    reason: str = ""
    """Why the workflow failed or was cancelled."""
    result_commit: str | None = None
    """The merge of all commits, once the workflow is completed."""
    finished_at: float | None = None
    """Seconds since 1970."""
    questions: bool = False
    """Whether agents may ask a person."""
    budget: Budget | None = None
    """What it may spend, None for no limit."""
    approvals: ApprovalPolicy | None = None
    """What a person must allow first, beside what the plan says."""


@dataclass(slots=True)
class Workflow:
    """A header, its tasks, and the graph derived from them."""

    header: Header
    tasks: dict[str, TaskState] = field(default_factory=dict)
    """By task id, in plan order."""
    dependents: dict[str, list[str]] = field(default_factory=dict)
    """Task id -> the tasks that depend on it directly."""
    unmet: dict[str, int] = field(default_factory=dict)
    """Task id -> how many of its dependencies have not succeeded."""
    totals: Totals | None = None
    """What was spent and set aside; None without a budget."""

    @classmethod
    def load(cls, header: Header, tasks: Iterable[TaskState]) -> Workflow:
        """Build the graph from stored versions."""
        workflow = cls(header, {task.task_id: task for task in tasks})
        workflow.dependents = {task_id: [] for task_id in workflow.tasks}
        for task in workflow.tasks.values():
            workflow._link(task)
        if header.budget is not None:
            workflow._count()
        return workflow

    @classmethod
    def start(
        cls,
        workflow_id: str,
        plan: TodoList,
        *,
        shard: int,
        now: float,
        base_commit: str | None = None,
        repository: RepositorySettings | None = None,
        questions: bool = False,
    ) -> Workflow:
        """Create a workflow in which nothing has happened yet. The plan must have passed its checks."""
        header = Header(
            workflow_id,
            plan.todo_list_id,
            plan.request,
            shard,
            now,
            len(plan.items),
            base_commit=base_commit,
            repository=repository,
            questions=questions,
        )
        return cls.load(header, (TaskState(item, item.dependencies) for item in plan.items))

    def limit(self, budget: Budget) -> None:
        """Say what a workflow may spend in which nothing has happened yet."""
        self.header = self.header._replace(budget=budget)
        self._count()

    def ask_first(self, policy: ApprovalPolicy) -> None:
        """Say what a person must allow in a workflow in which nothing has happened yet."""
        self.header = self.header._replace(approvals=policy)

    def evolve(self, header: Header | None, tasks: Iterable[TaskState]) -> None:
        """Replace versions in place, at the cost of the changed tasks and their direct neighbours."""
        if header is not None:
            self.header = header
        for task in tasks:
            old = self.tasks.get(task.task_id)
            self.tasks[task.task_id] = task
            if self.totals is not None:
                self.totals.replace(old.spending if old else None, task.spending)
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

    def _count(self) -> None:
        self.totals = Totals()
        for task in self.tasks.values():
            self.totals.add(task.spending)

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
        """The commits that a task starts from, each once, in the order of its dependencies."""
        if not task.dependencies:
            return (self.header.base_commit,) if self.header.base_commit else ()
        heads = (head for name in task.dependencies for head in self.tasks[name].heads)
        return tuple(dict.fromkeys(heads))

    def sinks(self) -> list[TaskState]:
        """The tasks on which nothing depends."""
        return [task for task_id, task in self.tasks.items() if not self.dependents[task_id]]

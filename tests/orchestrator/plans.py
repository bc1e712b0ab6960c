"""Small plans and outcomes for tests of the orchestrator."""

from __future__ import annotations

from typing import Any

from contracts.documents.failure import TestFailure
from contracts.documents.reports import ReviewFinding
from contracts.documents.todo_list import TodoItem, TodoList
from contracts.messages.budget import Budget
from contracts.messages.journal import JournalEvent
from contracts.messages.payloads import ReviewSummary, TaskError, TaskOutcome, TestSummary, Usage
from orchestrator.core.decide import decide
from orchestrator.core.decision import Decision
from orchestrator.core.events import Dispatch, Finished, Started, WorkflowEvent
from orchestrator.core.state import Workflow

WORKFLOW = "wf-1"


def item(task_id: str, *needs: str, role: str = "coder", **more: Any) -> TodoItem:
    outputs = more.pop("output_artifacts", (f"{task_id}.py",))
    return TodoItem(
        task_id=task_id, title=task_id, agent_role=role, dependencies=needs, output_artifacts=outputs, **more
    )


def plan(*items: TodoItem) -> TodoList:
    return TodoList(todo_list_id="plan-1", request="build it", items=items)


def commit_of(task_id: str, attempt: int = 1) -> str:
    """A made-up commit name."""
    return f"{abs(hash((task_id, attempt))):040x}"[-40:]


def outcome(dispatch_id: str, **more: Any) -> TaskOutcome:
    fields: dict[str, Any] = {
        "dispatch_id": dispatch_id,
        "execution_id": f"e-{dispatch_id}",
        "worker_id": "w1",
        "status": "succeeded",
        **more,
    }
    return TaskOutcome(**fields)


def failed(dispatch_id: str, *, retryable: bool = True, code: str = "broken", **more: Any) -> TaskOutcome:
    error = TaskError(code=code, message="it broke", retryable=retryable)
    usage = Usage(model_calls=1, cost_usd=0.5)
    return outcome(dispatch_id, status="failed", error=error, usage=usage, **more)


def red_tests(dispatch_id: str, failure: TestFailure | None = None) -> TaskOutcome:
    tests = TestSummary(passed=1, failed=1, failure=failure)
    return outcome(dispatch_id, verdict="failed", summary="1 failed", tests=tests)


def refused_review(dispatch_id: str) -> TaskOutcome:
    finding = ReviewFinding(severity="major", path="a.py", message="full houses are\ncompared wrongly")
    review = ReviewSummary(approved=False, findings=(finding,))
    return outcome(dispatch_id, verdict="failed", summary="not acceptable", review=review)


class Play:
    """A workflow in memory to which inputs are applied one after the other."""

    def __init__(
        self, todo: TodoList, *, start: bool = True, questions: bool = False, budget: Budget | None = None
    ) -> None:
        self.workflow = Workflow.start(WORKFLOW, todo, shard=0, now=0.0, questions=questions)
        if budget is not None:
            self.workflow.limit(budget)
        self.now = 100.0
        self.dispatched: list[str] = []
        self.journal: list[JournalEvent] = []
        """Of all that was not refused."""
        if start:
            self.give(Started())

    def give(self, event: WorkflowEvent) -> Decision:
        decision = decide(self.workflow, event, self.now)
        self.workflow.evolve(decision.header, decision.tasks)
        self.journal += () if decision.refused else decision.journal
        return decision

    def dispatch(self, task_id: str) -> str:
        """Dispatch a ready task; its dispatch id."""
        dispatch_id = f"{task_id}-{len(self.dispatched)}"
        assert self.give(Dispatch(task_id, dispatch_id)).refused is None
        self.dispatched.append(dispatch_id)
        return dispatch_id

    def succeed(self, task_id: str, **more: Any) -> Decision:
        """Dispatch a ready task and let it succeed."""
        dispatch_id = self.dispatch(task_id)
        more.setdefault("commit", commit_of(task_id))
        return self.give(Finished(task_id, outcome(dispatch_id, **more)))

    def status(self, task_id: str) -> str:
        return self.workflow.tasks[task_id].status.value

    @property
    def statuses(self) -> dict[str, str]:
        return {task_id: task.status.value for task_id, task in self.workflow.tasks.items()}

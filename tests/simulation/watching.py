"""Parts of the owner that check what passes through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contracts.messages.payloads import WorkerLeft
from orchestrator.core.decision import Decision
from orchestrator.core.events import Finished, Lost, Overdue, WorkflowEvent
from orchestrator.core.state import TaskState, TaskStatus
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.outcome_guard import OutcomeGuard
from orchestrator.service.fleet.workers import Workers
from tests.simulation.coroner import Coroner
from tests.simulation.forgery import is_forged, must_be_refused
from tests.simulation.model_worker import OUTAGE
from tests.simulation.violations import check


class WatchedEngine(Engine):
    """The engine, whose window stays what it is, with every accepted input checked (I3, I7)."""

    def __init__(
        self,
        new_id: Callable[[], str],
        window: int,
        stale: list[int],
        coroner: Coroner,
        guard: OutcomeGuard,
    ) -> None:
        self._fixed = window
        self._guard = guard
        self._stale = stale
        self._coroner = coroner
        super().__init__(new_id, window)

    @property
    def window(self) -> int:
        return self._fixed

    @window.setter
    def window(self, wanted: int) -> None:
        """A window of some 1,000 dispatches would never be reached here."""

    def apply(self, workflow_id: str, event: WorkflowEvent, now: float, monotonic: float) -> Decision:
        if not isinstance(event, Finished | Lost | Overdue):
            return super().apply(workflow_id, event, now, monotonic)
        task = self.workflows[workflow_id].tasks.get(event.task_id)
        name = event.outcome.dispatch_id if isinstance(event, Finished) else event.dispatch_id
        stale = task is None or task.status is not TaskStatus.DISPATCHED or task.dispatch_id != name
        if isinstance(event, Finished) and is_forged(event.outcome) and not stale:
            known = self._guard.leases, self._guard.copied, monotonic
            check(not must_be_refused(event.outcome, *known), "I3: a forged success was accepted")
        decision = super().apply(workflow_id, event, now, monotonic)
        if stale:
            self._stale[0] += 1
            check(decision.refused is not None, "I3: accepted what is not the current dispatch's")
        elif task is not None:
            self._check_counts(task, self.workflows[workflow_id].tasks[event.task_id], event)
        return decision

    def _check_counts(self, old: TaskState, new: TaskState, event: Finished | Lost | Overdue) -> None:
        if isinstance(event, Lost):
            if new.crashes > old.crashes:
                self._coroner.judge(event)
            return
        check(new.crashes == old.crashes, "I7: a crash was counted without a death")
        if isinstance(event, Finished) and event.outcome.suspended is not None:
            check(new.failures == old.failures, "a question was counted as a failure")
            waits = new.status in {TaskStatus.ANSWER, TaskStatus.BUDGET, TaskStatus.READY}
            check(waits, "a question was not put to a person")
        if isinstance(event, Finished) and event.outcome.error is OUTAGE:
            check(new.failures == old.failures, "an outage was counted as a failure")
            check(new.status is TaskStatus.READY, "an outage ended a task")


@dataclass
class WatchedWorkers(Workers):
    """The workers, of which one that left has no lease."""

    async def handle_left(self, left: WorkerLeft) -> None:
        await super().handle_left(left)
        check(left.worker_id not in self.leases.workers, f"I7: {left.worker_id} left with its lease")

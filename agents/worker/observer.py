"""What a worker logs and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from contracts.messages.events import TaskEvent
from contracts.messages.payloads import TaskOutcome, TaskRequest

if TYPE_CHECKING:
    from agents.worker.metrics import WorkerMetrics

_log = structlog.get_logger(__name__)


class WorkerObserver:
    """Tells the log and the metrics what happens to dispatches; without metrics the log alone."""

    def __init__(self, metrics: WorkerMetrics | None) -> None:
        self._metrics = metrics

    def received(self, event: TaskEvent[TaskRequest]) -> None:
        """A dispatch is in the worker's hands."""
        _log.info(
            "task_taken",
            workflow_id=event.workflowid,
            task_id=event.taskid,
            dispatch_id=event.data.dispatch_id,
            role=event.data.item.agent_role,
            attempt=event.data.attempt,
        )

    def finished(self, event: TaskEvent[TaskRequest], outcome: TaskOutcome) -> None:
        """An execution has its outcome."""
        _log.info(
            "task_finished",
            workflow_id=event.workflowid,
            task_id=event.taskid,
            dispatch_id=event.data.dispatch_id,
            status=outcome.status,
            error=outcome.error.code if outcome.error else None,
        )
        if self._metrics:
            self._metrics.finished(event.data.item.agent_role, outcome)

    def dead_lettered(self) -> None:
        """A message could not be read."""
        if self._metrics:
            self._metrics.dead()

    def paused(self, seconds: float, outcome: TaskOutcome) -> None:
        """Nothing starts for so many seconds; 0.0 when work goes on."""
        if seconds and outcome.error:
            error = outcome.error
            _log.warning("work_paused", seconds=round(seconds, 1), code=error.code, reason=error.message)
        else:
            _log.info("work_resumed")
        if self._metrics:
            self._metrics.paused(bool(seconds))

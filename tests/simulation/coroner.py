"""What workers really executed when they died, to compare with what the owner holds against tasks (I7)."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.core.events import Lost
from tests.simulation.model_worker import ModelWorker
from tests.simulation.violations import check


class Coroner:
    def __init__(self, workers: Mapping[str, ModelWorker]) -> None:
        self._workers = workers
        self._dead: dict[str, frozenset[str]] = {}
        self._findings: dict[str, frozenset[str] | None] = {}

    def died(self, worker: ModelWorker) -> None:
        """A worker died, at what it was doing."""
        self._dead[worker.name] = worker.to_blame

    def given_up(self, worker_id: str) -> None:
        """The owner takes a worker for dead. One that lives and moves may execute anything meanwhile."""
        worker = self._workers.get(worker_id)
        truth = self._dead.get(worker_id) if worker is None else worker.to_blame if worker.paused else None
        self._findings[worker_id] = truth

    def judge(self, event: Lost) -> None:
        """The owner counts a death against a task."""
        truth = self._findings[event.worker_id]
        fair = truth is None or event.dispatch_id in truth
        blamed = f"{event.dispatch_id} is blamed for the death of {event.worker_id}"
        check(fair, f"I7: {blamed}, where {sorted(truth or ())} could be")

"""What workers really executed when they died, to compare with what the owner holds against tasks (I7)."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.inputs import Lost
from tests.simulation.model_worker import ModelWorker
from tests.simulation.violations import check


class Coroner:
    def __init__(self, workers: Mapping[str, ModelWorker]) -> None:
        self._workers = workers
        self._dead: dict[str, frozenset[str]] = {}
        self._findings: dict[str, frozenset[str] | None] = {}

    def died(self, worker: ModelWorker) -> None:
        """A worker died, with what it executed."""
        self._dead[worker.name] = worker.at_work_on

    def given_up(self, worker_id: str) -> None:
        """The owner takes a worker for dead. One that lives and moves may execute anything meanwhile."""
        worker = self._workers.get(worker_id)
        truth = self._dead.get(worker_id) if worker is None else worker.at_work_on if worker.paused else None
        self._findings[worker_id] = truth

    def judge(self, given: Lost) -> None:
        """The owner holds a death against a task."""
        truth = self._findings[given.worker_id]
        alone = truth is None or truth == {given.dispatch_id}
        ran = sorted(truth or ())
        check(alone, f"I7: {given.dispatch_id} is blamed for the death of {given.worker_id}, which ran {ran}")

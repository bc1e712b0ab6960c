"""What workers really executed when they died, to compare with what the owner holds against tasks (I7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.core.events import Lost
from tests.simulation.model_worker import ModelWorker
from tests.simulation.violations import check


class Coroner:
    def __init__(self, workers: Mapping[str, ModelWorker]) -> None:
        self._workers = workers
        self._dead: dict[str, frozenset[str]] = {}

    def died(self, worker: ModelWorker) -> None:
        """A worker died, at what it was doing."""
        self._dead[worker.name] = worker.to_blame

    def keeper_died(self, keeper: str, workers: Sequence[ModelWorker]) -> None:
        """A keeper died with all its workers: of what ran alone in it, or of a suspect in it."""
        near = {name: alone for worker in workers for name, alone in worker.near.items()}
        running = frozenset[str]().union(*(worker.running for worker in workers))
        suspects = frozenset(name for name, alone in near.items() if alone)
        alone = running if len(running) == 1 else frozenset() if running else frozenset(near)
        self._dead[keeper] = suspects | alone

    def judge(self, event: Lost) -> None:
        """The owner counts a death against a task."""
        truth = self._dead.get(event.worker_id)
        check(truth is not None, f"I7: {event.worker_id} is counted as dead, and nobody saw it die")
        blamed = f"{event.dispatch_id} is blamed for the death of {event.worker_id}"
        check(event.dispatch_id in (truth or ()), f"I7: {blamed}, where {sorted(truth or ())} could be")

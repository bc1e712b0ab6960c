"""The workers of a schedule: what they do, and what befalls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.messages.payloads import Control, Heartbeat, WorkerLeft
from tests.simulation.choices import Choices
from tests.simulation.coroner import Coroner
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_worker import ModelWorker
from tests.simulation.parcels import Event


@dataclass(slots=True)
class Crew:
    """begun hears of each execution; to_owner broadcasts, False when the bus is away."""

    choices: Choices
    bus: ModelBus
    number: Callable[[], int]
    now: Callable[[], float]
    begun: Callable[[Event], None]
    to_owner: Callable[[Heartbeat | WorkerLeft], bool]
    say: Callable[[str], None]
    workers: dict[str, ModelWorker] = field(default_factory=dict)
    coroner: Coroner = field(init=False)

    def __post_init__(self) -> None:
        self.coroner = Coroner(self.workers)

    def hire(self) -> None:
        name = f"w{self.number()}"
        supervised = bool(self.choices.below(2))
        self.workers[name] = ModelWorker(
            name,
            1 + self.choices.below(2),
            self.bus,
            self.choices,
            self._new_commit,
            self.begun,
            self.to_owner,
            supervised,
        )

    def _new_commit(self) -> str:
        return f"{self.number():040x}"

    # --- what they do --------------------------------------------------------------------------------

    def step(self) -> None:
        """One of them does something."""
        if not self.workers:
            self.hire()
            return
        worker = list(self.workers.values())[self.choices.below(len(self.workers))]
        if worker.paused:
            return
        kind = self.choices.below(4)
        self.say(f"{worker.name}: {('read', 'work', 'report', 'beat')[kind]}")
        if kind == 0:
            worker.read()
        elif kind == 1:
            self._work(worker)
        elif kind == 2:
            worker.report(self.now())
        if kind == 3 or self.now() >= worker.beat_at:
            self._beat(worker)

    def round(self) -> None:
        """Each of them does everything; there is always one."""
        if not self.workers:
            self.hire()
        for worker in list(self.workers.values()):
            if self.now() >= worker.beat_at:
                self._beat(worker)
            worker.read()
            if worker.held:
                self._work(worker)
            worker.report(self.now())

    def _work(self, worker: ModelWorker) -> None:
        if worker.work():
            self._die(worker)

    def _beat(self, worker: ModelWorker) -> None:
        worker.beat_at = self.now() + 2.0
        self.to_owner(worker.heartbeat())

    def hear(self, name: str, control: Control) -> None:
        """The owner's word, which may be lost."""
        if not self.choices.fault(0.1):
            worker = self.workers.get(name)
            if worker is not None and not worker.paused:
                worker.obey(control)

    # --- what befalls them ---------------------------------------------------------------------------

    def _chosen(self) -> ModelWorker | None:
        names = list(self.workers)
        return self.workers[names[self.choices.below(len(names))]] if names else None

    def crash(self) -> None:
        worker = self._chosen()
        if worker is not None:
            self._die(worker)

    def _die(self, worker: ModelWorker) -> None:
        self.say(f"{worker.name} dies")
        self._remove(worker)
        if worker.supervised:
            self.to_owner(WorkerLeft(worker_id=worker.name, reason="died"))

    def stop(self) -> None:
        worker = self._chosen()
        if worker is not None:
            worker.report(float("inf"))
            self._remove(worker)
            held = tuple(worker.held)
            self.to_owner(WorkerLeft(worker_id=worker.name, reason="stopped", handed_back=held))

    def _remove(self, worker: ModelWorker) -> None:
        self.coroner.died(worker)
        del self.workers[worker.name]

    def pause(self) -> None:
        """Or wake it: a zombie that reports what was given to somebody else."""
        worker = self._chosen()
        if worker is not None:
            worker.paused = not worker.paused

    def wake(self) -> None:
        """All who are paused."""
        for worker in self.workers.values():
            worker.paused = False

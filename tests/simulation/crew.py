"""The workers of a schedule: what they do, and what befalls them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from contracts.messages.channels import Channels
from contracts.messages.payloads import Control, Heartbeat, WorkerLeft
from tests.simulation.choices import Choices
from tests.simulation.coroner import Coroner
from tests.simulation.hands import Held
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_worker import STREAMS, SUSPECTS, ModelWorker
from tests.simulation.spending import Books

Streams = tuple[str, ...]


@dataclass(slots=True)
class Crew:
    """begun hears of each execution; to_owner broadcasts, False when the bus is away."""

    choices: Choices
    bus: ModelBus
    number: Callable[[], int]
    now: Callable[[], float]
    begun: Callable[[Held], None]
    to_owner: Callable[[Heartbeat | WorkerLeft], bool]
    say: Callable[[str], None]
    books: Books
    workers: dict[str, ModelWorker] = field(default_factory=dict)
    coroner: Coroner = field(init=False)

    def __post_init__(self) -> None:
        self.coroner = Coroner(self.workers)

    def hire(self) -> None:
        """A worker alone, or a keeper with two slots and one more for suspects."""
        supervised = bool(self.choices.below(2))
        if self.choices.below(3) == 0:
            keeper = f"k{self.number()}"
            for streams, suspects in ((STREAMS, ()), (STREAMS, ()), ((), SUSPECTS)):
                self._add(1, supervised, keeper, streams, suspects)
        else:
            self._add(1 + self.choices.below(2), supervised, None, STREAMS, SUSPECTS)

    def _add(
        self, slots: int, supervised: bool, keeper: str | None, streams: Streams, suspects: Streams
    ) -> None:
        name = f"w{self.number()}"
        self.workers[name] = ModelWorker(
            name,
            slots,
            self.bus,
            self.choices,
            self._new_commit,
            self.begun,
            self.to_owner,
            self.books,
            supervised,
            keeper,
            streams,
            suspects,
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
            worker.read(self.now())
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
            worker.read(self.now())
            if worker.held:
                self._work(worker)
            worker.report(self.now())

    def _work(self, worker: ModelWorker) -> None:
        if worker.work(self.now()):
            self._die(worker)

    def _beat(self, worker: ModelWorker) -> None:
        worker.beat_at = self.now() + 2.0
        self.to_owner(worker.heartbeat())

    def beat_without(self, silent: ModelWorker | None) -> None:
        """A heartbeat of all but one."""
        for worker in self.workers.values():
            if worker is not silent and not worker.paused:
                self._beat(worker)

    def hear(self, name: str, control: Control) -> None:
        """The owner's word, which may be lost."""
        if not self.choices.fault(0.1):
            worker = self.workers.get(name)
            if worker is not None and not worker.paused:
                worker.obey(control)

    def may_be_doubted(self, dispatch_id: str, name: str) -> bool:
        """Whether this worker is dead or says nothing, or another one has the dispatch or has ended it."""
        worker = self.workers.get(name)
        another = any(one.has(dispatch_id) for one in self.workers.values() if one.name != name)
        return another or worker is None or worker.paused

    # --- what befalls them ---------------------------------------------------------------------------

    def chosen(self) -> ModelWorker | None:
        """One of them, None when there is none."""
        names = list(self.workers)
        return self.workers[names[self.choices.below(len(names))]] if names else None

    def crash(self) -> None:
        """A worker dies, or a keeper with all its workers."""
        worker = self.chosen()
        if worker is not None and worker.keeper and self.choices.below(2):
            self._keeper_dies(worker.keeper, worker.supervised)
        elif worker is not None:
            self._die(worker)

    def _die(self, worker: ModelWorker) -> None:
        self.say(f"{worker.name} dies")
        self._remove(worker)
        if worker.supervised or worker.keeper:
            self.to_owner(WorkerLeft(worker_id=worker.name, reason="died"))
        self._succeed(worker)

    def _succeed(self, worker: ModelWorker) -> None:
        """A keeper replaces whom it lost."""
        if worker.keeper:
            self._add(1, worker.supervised, worker.keeper, worker.streams, worker.suspects)

    def _keeper_dies(self, keeper: str, supervised: bool) -> None:
        self.say(f"{keeper} dies")
        kept = [one for one in self.workers.values() if one.keeper == keeper]
        self.coroner.keeper_died(keeper, kept)
        for one in kept:
            del self.workers[one.name]
        if supervised:
            self.to_owner(WorkerLeft(worker_id=keeper, reason="died"))

    def stop(self) -> None:
        worker = self.chosen()
        if worker is not None:
            worker.report(float("inf"))
            self._remove(worker)
            held = tuple(worker.held)
            self.to_owner(WorkerLeft(worker_id=worker.name, reason="stopped", handed_back=held))
            self._succeed(worker)

    def _remove(self, worker: ModelWorker) -> None:
        self.coroner.died(worker)
        del self.workers[worker.name]

    def pause(self) -> None:
        """Or wake it: a zombie that reports what was given to somebody else."""
        worker = self.chosen()
        if worker is not None:
            worker.paused = not worker.paused

    def steal(self) -> None:
        """Somebody reads in the name of a worker."""
        worker = self.chosen()
        if worker is not None:
            stream = (*worker.streams, *worker.suspects)[0]
            self.bus.steal(stream, Channels.WORKERS_GROUP, worker.name)

    def wake(self) -> None:
        """All who are paused."""
        for worker in self.workers.values():
            worker.paused = False

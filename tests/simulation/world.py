"""One schedule: people, an owner, workers, a bus and a database, moved by one sequence of choices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from contracts.channels import Channels
from contracts.errors import StoreUnavailable
from contracts.events import Control, Heartbeat, WorkerLeft
from contracts.ports import Outgoing
from orchestrator.leases import Leases
from orchestrator.owner import Clock
from orchestrator.store import OwnershipLost
from tests.simulation.choices import Choices
from tests.simulation.coroner import Coroner
from tests.simulation.listening import Listening
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_store import ModelStore
from tests.simulation.model_worker import STREAMS, SUSPECTS, ModelWorker
from tests.simulation.parcels import Event, unwrap
from tests.simulation.people import People
from tests.simulation.violations import Crash, check
from tests.simulation.wiring import LEASE_SECONDS, Session

FAULTY_STEPS = 60
CALM_ROUNDS = 400


class World:
    """Everything of one schedule. `tell` hears each step, for the trace."""

    def __init__(
        self, seed: int, recording: Sequence[int] | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self.choices = Choices(seed, recording)
        self._tell = tell
        self._numbers = itertools.count(1)
        self.stale = [0]
        self.now = 1_000.0
        window = 1 + self.choices.below(4)
        self._batch = (256, 1, 3)[self.choices.below(3)]
        fault = (0.0, 0.02, 0.05, 0.1)[self.choices.below(4)]
        self._window = window
        self.store = ModelStore(self.choices, window, fault)
        self.bus = ModelBus(self.choices, self._published, self._heard, fault / 2)
        self.people = People(self.store, self.choices)
        self.refs: dict[tuple[str, str], str] = {}
        self.workers: dict[str, ModelWorker] = {}
        self.coroner = Coroner(self.workers)
        self._leases = Leases(LEASE_SECONDS)
        self.session: Session | None = None
        self.listening: Listening | None = None
        for _ in range(1 + self.choices.below(2)):
            self._new_worker()
        self.people.submit()
        self._steps: tuple[Callable[[], None], ...] = (
            *(self._worker_step,) * 10,
            *(self._owner_step,) * 8,
            *(self._listen,) * 4,
            self._git_step,
            self._git_step,
            self._pass_time,
            self._pass_time,
            self.people.act,
            self._misfortune,
        )

    # --- the schedule --------------------------------------------------------------------------------

    def run(self) -> None:
        """All of it. Raises Violation."""
        for _ in range(FAULTY_STEPS):
            if self.choices.over:
                break
            step = self._steps[self.choices.below(len(self._steps))]
            if step != self._worker_step:
                self._say(step.__name__)
            step()
            self.now += 0.1
        self.choices.calm = True
        self.bus.away = False
        self._say("the faults are over")
        for worker in self.workers.values():
            worker.paused = False
        for _ in range(CALM_ROUNDS):
            if self._calm_round():
                self._check_end()
                return
        check(False, f"I1: not over: {[dict(self.people.statuses(name)) for name in self.store.headers]}")

    def _calm_round(self) -> bool:
        """Everybody once. True when all is over."""
        if not self.workers:
            self._new_worker()
        for worker in list(self.workers.values()):
            self._let_work(worker)
        self._listen()
        self._owner_step()
        while self.session is not None and self.session.inbox:
            self._owner_step()
        self._git_step()
        if self.people.settle():
            return False
        over = all(header.status.terminal for header in self.store.headers.values())
        if over and not any(worker.kept for worker in self.workers.values()):
            return True
        self.now += 0.7
        return False

    def _let_work(self, worker: ModelWorker) -> None:
        if self.now >= worker.beat_at:
            self._beat(worker)
        worker.read()
        if worker.held:
            self._work(worker)
        worker.report(self.now)

    def _work(self, worker: ModelWorker) -> None:
        if worker.work():
            self._die(worker)

    def _check_end(self) -> None:
        for name, tasks in self.store.tasks.items():
            for task in tasks.values():
                if task.commit and task.status.terminal:
                    moved = self.refs.get((name, task.task_id))
                    check(moved == task.commit, f"I2: the ref of {task.task_id} is not its outcome")
                check(task.status.terminal, "I1: a task has not ended")

    def _new_id(self) -> str:
        return f"id-{next(self._numbers)}"

    def _new_commit(self) -> str:
        return f"{next(self._numbers):040x}"

    def _say(self, text: str) -> None:
        if self._tell:
            self._tell(f"{self.now:8.1f}  {text.strip('_').replace('_', ' ')}")

    # --- the owner -----------------------------------------------------------------------------------

    def _owner_step(self) -> None:
        self.bus.owner_calls = True
        try:
            if self.session is None:
                self._start_owner()
            else:
                self.session.step()
        except (StoreUnavailable, OwnershipLost) as end:
            self._say(f"the owner's session ends: {end}")
            self.session = self.listening = None
        except Crash as end:
            self._say(f"the owner dies {end}")
            self._kill_owner()
        finally:
            self.bus.owner_calls = False

    def _start_owner(self) -> None:
        clock = Clock(lambda: self.now + 1e9, lambda: self.now)
        limits = (self._window, self._batch)
        self.session = Session(
            self.store, self.bus, clock, self._new_id, limits, self._leases, self.stale, self.coroner
        )
        self.listening = Listening(self.bus, self.store, self.session, self._batch)

    def _listen(self) -> None:
        if self.listening is not None:
            self.listening.step()

    def _git_step(self) -> None:
        session = self.session
        if session is None:
            return
        for entry_id, move in session.git.moves:
            self.refs[move.workflow_id, move.task_id] = move.commit
            session.publisher.settled.append(entry_id)
        session.git.moves = []
        self.people.merge(session)

    def _published(self, message: Outgoing) -> None:
        if message.stream in STREAMS + SUSPECTS:
            event = unwrap(message.payload)
            assert event.workflowid
            assert event.taskid
            current = self.store.current(event.workflowid, event.taskid, event.id)
            check(current, f"I4: published {event.id}, which is not a committed current dispatch")

    # --- workers -------------------------------------------------------------------------------------

    def _new_worker(self) -> None:
        name = f"w{next(self._numbers)}"
        supervised = bool(self.choices.below(2))
        self.workers[name] = ModelWorker(
            name,
            1 + self.choices.below(2),
            self.bus,
            self.choices,
            self._new_commit,
            self._begun,
            self._to_owner,
            supervised,
        )

    def _begun(self, event: Event) -> None:
        self._say(f"a worker starts {event.taskid} ({event.id})")
        check(event.id in self.store.dispatched, "I6: a task was started whose dispatch is not committed")

    def _worker_step(self) -> None:
        if not self.workers:
            self._new_worker()
            return
        worker = list(self.workers.values())[self.choices.below(len(self.workers))]
        if worker.paused:
            return
        kind = self.choices.below(4)
        self._say(f"{worker.name}: {('read', 'work', 'report', 'beat')[kind]}")
        if kind == 0:
            worker.read()
        elif kind == 1:
            self._work(worker)
        elif kind == 2:
            worker.report(self.now)
        if kind == 3 or self.now >= worker.beat_at:
            self._beat(worker)

    def _beat(self, worker: ModelWorker) -> None:
        worker.beat_at = self.now + 2.0
        self._to_owner(worker.heartbeat())

    def _to_owner(self, word: Heartbeat | WorkerLeft) -> bool:
        """A broadcast: lost, or heard twice, or once. False when the bus is away."""
        if self.session is not None and not self.bus.away:
            times = (1, 0, 2)[self.choices.fault(0.1, 2)]
            self.session.inbox.extend([word] * times)
        return not self.bus.away

    def _heard(self, message: Outgoing) -> None:
        control = unwrap(message.payload).data
        if isinstance(control, Control) and not self.choices.fault(0.1):
            worker = self.workers.get(message.stream.removeprefix(f"{Channels.CONTROL}."))
            if worker is not None and not worker.paused:
                worker.obey(control)

    # --- misfortunes ---------------------------------------------------------------------------------

    def _pass_time(self) -> None:
        self.now += (0.5, 1.0, 2.0, 7.0, 20.0)[self.choices.below(5)]

    def _misfortune(self) -> None:
        kinds: tuple[Callable[[], None], ...] = (
            self._crash_worker,
            self.bus.destroy,
            self._pause_worker,
            self._kill_owner,
            self.bus.flush,
            self._toggle_bus,
            self.bus.save,
            self.bus.restore,
            self._stop_worker,
            self._new_worker,
        )
        step = kinds[self.choices.below(len(kinds))]
        self._say(f"misfortune: {step.__name__}")
        step()

    def _chosen(self) -> ModelWorker | None:
        names = list(self.workers)
        return self.workers[names[self.choices.below(len(names))]] if names else None

    def _crash_worker(self) -> None:
        worker = self._chosen()
        if worker is not None:
            self._die(worker)

    def _die(self, worker: ModelWorker) -> None:
        self._say(f"{worker.name} dies")
        self.coroner.died(worker)
        del self.workers[worker.name]
        if worker.supervised:
            self._to_owner(WorkerLeft(worker_id=worker.name, reason="died"))

    def _stop_worker(self) -> None:
        worker = self._chosen()
        if worker is not None:
            worker.report(float("inf"))
            self.coroner.died(worker)
            del self.workers[worker.name]
            self._to_owner(
                WorkerLeft(worker_id=worker.name, reason="stopped", handed_back=tuple(worker.held))
            )

    def _pause_worker(self) -> None:
        """Or wake it: a zombie that reports what was given to somebody else."""
        worker = self._chosen()
        if worker is not None:
            worker.paused = not worker.paused

    def _kill_owner(self) -> None:
        self._leases = Leases(LEASE_SECONDS)
        self.session = self.listening = None

    def _toggle_bus(self) -> None:
        self.bus.away = not self.bus.away

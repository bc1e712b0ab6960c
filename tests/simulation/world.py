"""One schedule: people, an owner, workers, a bus and a database, moved by one sequence of choices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress

from contracts.base.errors import BusUnavailable, StoreUnavailable
from contracts.messages.channels import Channels
from contracts.messages.payloads import Control, Heartbeat, WorkerLeft
from contracts.ports.bus import Delivery, Outgoing
from contracts.ports.clock import Clock
from orchestrator.scheduling.leases import Leases
from orchestrator.storage.store import OwnershipLost
from tests.simulation import unreadable
from tests.simulation.choices import Choices
from tests.simulation.crew import Crew
from tests.simulation.forgery import STRANGER, forged, is_forged
from tests.simulation.hands import Held
from tests.simulation.listening import Listening
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_git import ModelGit
from tests.simulation.model_store import ModelStore
from tests.simulation.model_worker import LEASE_SECONDS, STREAMS, SUSPECTS
from tests.simulation.parcels import WALL, unwrap
from tests.simulation.people import People
from tests.simulation.promises import Promises
from tests.simulation.restart import Restart
from tests.simulation.spending import Books
from tests.simulation.stepping import run
from tests.simulation.violations import Crash, check
from tests.simulation.wiring import Life

MOST_FAULTY_STEPS = 80
"""With 60, a missing fence showed in a third as many schedules."""
CALM_ROUNDS = 400
_LATE = 3
SHORT_WHILE = 0.7
LONG_WHILE = 2.9
"""Seconds until the next calm round: after one in which something happened, and after one in which all waited
for time to pass. From half a lease on the owner would take itself for the one that was away.
"""


def faulty_steps(seed: int) -> int:
    """How long faults happen: some schedules are over soon, others see much."""
    return 1 + seed % MOST_FAULTY_STEPS


class World:
    """Everything of one schedule. `tell` hears each step, for the trace."""

    def __init__(
        self, seed: int, recording: Sequence[int] | None = None, tell: Callable[[str], None] | None = None
    ) -> None:
        self.choices = Choices(seed, recording)
        self._steps_with_faults = faulty_steps(seed)
        self._tell = tell
        self._numbers = itertools.count(1)
        self._batches = itertools.count(seed)
        self.stale = [0]
        self.plans = self.looks = self.answers = 0
        self.now = 1_000.0
        window = 1 + self.choices.below(4)
        self._batch = (256, 1, 3)[self.choices.below(3)]
        self._restarts = seed % 2 == 0 and self._batch == 256  # a smaller one may have to be read more often
        fault = (0.0, 0.02, 0.05, 0.1)[self.choices.below(4)]
        self._window = window
        self.store = ModelStore(self.choices, window, fault)
        self.bus = ModelBus(
            self.choices, self._published, self._heard, self._settled, fault / 2, lambda: self.now
        )
        self.people = People(self.store, self.choices)
        self.git = ModelGit(self.choices)
        self.promises = Promises(self.store, self.git)
        self.store.marked = self.promises.marked
        self.crew = Crew(
            self.choices,
            self.bus,
            self._number,
            lambda: self.now,
            self._begun,
            self._to_owner,
            self._say,
            Books(self.store),
        )
        self._restart = Restart(self.store, self.bus, self.crew)
        self._leases = Leases(LEASE_SECONDS)
        self._late_words: list[Heartbeat | WorkerLeft] = []
        self.session: Life | None = None
        self.listening: Listening | None = None
        for _ in range(1 + self.choices.below(2)):
            self.crew.hire()
        self.people.submit()
        self._steps: tuple[Callable[[], None], ...] = (
            *(self.crew.step,) * 10,
            *(self._owner_step,) * 8,
            *(self._listen,) * 4,
            self._hear_late,
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
        for _ in range(self._steps_with_faults):
            if self.choices.over:
                break
            step = self._steps[self.choices.below(len(self._steps))]
            if step != self.crew.step:
                self._say(step.__name__)
            step()
            self.now += 0.1
        self.choices.calm = True
        self.bus.away = False
        self._say("the faults are over")
        self.crew.wake()
        if self._restarts and self._restart.owner_would_owe():
            self._say("but the owner dies once more")
            self._kill_owner()
            self.promises.lately.clear()
        for _ in range(CALM_ROUNDS):
            if self._calm_round():
                self._check_end()
                return
        check(False, f"I1: not over: {[dict(self.people.statuses(name)) for name in self.store.headers]}")

    def _calm_round(self) -> bool:
        """Everybody once. True when all is over."""
        commits = self.store.commits
        self.crew.round()
        self._listen()
        self._owner_step()
        while self.session is not None and self.session.inbox:
            self._owner_step()
        self._git_step()
        self._restart.round_over(self.promises.lately)
        if self.people.settle():
            return False
        over = all(header.status.terminal for header in self.store.headers.values())
        busy = any(worker.held or worker.kept for worker in self.crew.workers.values())
        if over and not busy and self.session is not None and self.session.offers.idle:
            return True
        self.now += SHORT_WHILE if busy or self.store.commits > commits else LONG_WHILE
        return False

    def _check_end(self) -> None:
        assert self.session is not None
        kept = self.bus.entry_ids(Channels.results(0), self.bus.newest) & self.session.inbox.read
        check(not kept, f"I9: outcomes stay on their stream: {sorted(kept)}")
        for name, tasks in self.store.tasks.items():
            for task in tasks.values():
                if task.commit and task.status.terminal:
                    moved = self.git.refs.get((name, task.task_id))
                    check(moved == task.commit, f"I2: the ref of {task.task_id} is not its outcome")
                check(task.status.terminal, "I1: a task has not ended")
            self.promises.offer_stands(name)

    def _number(self) -> int:
        return next(self._numbers)

    def _new_id(self) -> str:
        return f"id-{self._number()}"

    def _say(self, text: str) -> None:
        if self._tell:
            self._tell(f"{self.now:8.1f}  {text.strip('_').replace('_', ' ')}")

    # --- the owner -----------------------------------------------------------------------------------

    def _owner_step(self) -> None:
        self._owner_does(self._start_owner if self.session is None else self.session.step)

    def _owner_does(self, what: Callable[[], None]) -> None:
        self.bus.owner_calls = True
        try:
            what()
        except (StoreUnavailable, OwnershipLost) as end:
            self._say(f"the owner's session ends: {end}")
            self.session = self.listening = None
        except Crash as end:
            self._say(f"the owner dies {end}")
            self._kill_owner()
        finally:
            self.bus.owner_calls = False

    def _start_owner(self) -> None:
        clock = Clock(lambda: self.now + WALL, lambda: self.now)
        limits = (self._window, self._batch)
        self.session = Life(
            self.store,
            self.bus,
            self.git,
            clock,
            self._new_id,
            limits,
            self._leases,
            self.stale,
            self.crew.coroner,
            self._late,
        )
        self.listening = Listening(self.bus, self.store, self.session, self._batch)

    def _late(self) -> bool:
        """Whether what follows from a batch is still to be sent when the next one begins."""
        return not self.choices.calm and next(self._batches) % 3 == 0

    def _listen(self) -> None:
        if self.listening is not None:
            self.listening.step()

    def _git_step(self) -> None:
        if self.session is not None:
            self._owner_does(self.session.git.step)
        if self.session is not None:
            self._owner_does(self.session.offers.step)

    def _published(self, message: Outgoing) -> None:
        if message.stream == Channels.results(0):
            if self.bus.owner_calls:
                unreadable.meet_an_outage(self.choices)
            self.promises.told(message)
        if message.stream in STREAMS + SUSPECTS:
            event = unwrap(message.payload)
            assert event.workflowid
            assert event.taskid
            if not self.store.current(event.workflowid, event.taskid, event.id):
                check(False, f"I4: published {event.id}, which is not a committed current dispatch")
            self.promises.dispatched(event.id)

    def _settled(self, delivery: Delivery) -> None:
        if delivery.stream == Channels.DEAD_LETTERS:
            self.promises.acknowledged_letter(delivery)
            return
        event = unwrap(delivery.payload)
        assert event.workflowid
        assert event.taskid
        if is_forged(event.data):
            return
        waited_for = self.store.current(event.workflowid, event.taskid, event.data.dispatch_id)
        # It is refused where another worker has the dispatch, or where its own will not be heard any more.
        excused = self.crew.may_be_doubted(event.data.dispatch_id, event.data.worker_id)
        check(not waited_for or excused, "I1: an outcome was acknowledged that the database still waits for")

    # --- workers -------------------------------------------------------------------------------------

    def _begun(self, held: Held) -> None:
        event = held.event
        self._say(f"a worker starts {event.taskid} ({event.id})")
        check(event.id in self.store.dispatched, "I6: a task was started whose dispatch is not committed")
        if held.calm and not held.confirmed and self.now - event.at > LEASE_SECONDS:
            assert event.workflowid
            assert event.taskid
            current = self.store.current(event.workflowid, event.taskid, event.id)
            check(current, "paid for nothing: an old request was started that is out of date")

    def _to_owner(self, word: Heartbeat | WorkerLeft) -> bool:
        """A broadcast: lost, or heard twice, or late, or once. False when the bus is away."""
        if self.session is not None and not self.bus.away:
            kind = self.choices.fault(0.1, 3)
            self._late_words += [word] * (1, 0, 2, 1)[kind]
            if kind != _LATE:
                self._hear_late()
        return not self.bus.away

    def _hear_late(self) -> None:
        """What is late arrives, in order."""
        if self.session is not None:
            self.session.inbox.extend(self._late_words)
        self._late_words.clear()

    def _heard(self, message: Outgoing) -> None:
        control = unwrap(message.payload).data
        if isinstance(control, Control):
            for dispatch_id in (control.confirmed or ()) if self.choices.calm else ():
                check(self.store.is_out(dispatch_id), "paid for nothing: what is out of date was confirmed")
            self.crew.hear(message.stream.removeprefix(f"{Channels.CONTROL}."), control)

    # --- misfortunes ---------------------------------------------------------------------------------

    def _pass_time(self) -> None:
        self.now += (0.5, 1.0, 2.0, 7.0, 20.0)[self.choices.below(5)]

    def _misfortune(self) -> None:
        kinds: tuple[Callable[[], None], ...] = (
            self.crew.crash,
            self.bus.destroy,
            self.crew.pause,
            self._kill_owner,
            self.bus.flush,
            self._toggle_bus,
            self.bus.save,
            self.bus.restore,
            self.crew.stop,
            self.crew.hire,
            self.crew.steal,
            self._forge,
            self._silence,
            self._silence,
        )
        step = kinds[self.choices.below(len(kinds))]
        self._say(f"misfortune: {step.__name__}")
        step()

    def _kill_owner(self) -> None:
        self._leases = Leases(LEASE_SECONDS)
        self.session = self.listening = None

    def _silence(self) -> None:
        """Nothing is heard of a worker for longer than a lease, of the others as ever; then it goes on."""
        silent = self.crew.chosen()
        for _ in range(6):
            self.now += LEASE_SECONDS / 4
            self.crew.beat_without(silent)
            self._listen()
            self._owner_step()

    def _forge(self) -> None:
        """Somebody reads a dispatch id off a stream, and reports its success."""
        names = [*self.crew.workers, STRANGER]
        with suppress(BusUnavailable):
            for delivery in run(self.bus.entries(STREAMS[0]))[:1]:
                worker = names[self.choices.below(len(names))]
                run(self.bus.publish([forged(unwrap(delivery.payload), worker, self._number())]))

    def _toggle_bus(self) -> None:
        self.bus.away = not self.bus.away

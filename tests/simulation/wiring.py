"""The one place that knows how an owner is put together: the real code on models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry

import orchestrator.service.command_handler
import orchestrator.service.fleet.recovery
import orchestrator.service.fleet.request_streams
import orchestrator.service.fleet.workers
import orchestrator.service.git_publisher
import orchestrator.service.inbox_handler
import orchestrator.service.offers
import orchestrator.service.publisher
import orchestrator.service.term
from contracts.documents.todo_list import TodoItem
from contracts.messages.payloads import Control
from contracts.ports.bus import Delivery
from contracts.ports.clock import Clock
from orchestrator.core.commands import read_body
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.outcome_guard import OutcomeGuard
from orchestrator.scheduling.survey import Surveyor
from orchestrator.service.background import BackgroundWork, Work
from orchestrator.service.backlog import Backlog
from orchestrator.service.command_handler import CommandHandler
from orchestrator.service.fleet.recovery import Recovery
from orchestrator.service.fleet.register import WorkerRegister
from orchestrator.service.fleet.request_streams import RequestStreams
from orchestrator.service.inbox import InboxMessage
from orchestrator.service.inbox_handler import InboxHandler
from orchestrator.service.metrics import OrchestratorMetrics
from orchestrator.service.offers import stored_offers
from orchestrator.service.publisher import Publisher
from orchestrator.service.term import Term
from tests.simulation.coroner import Coroner
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_git import ModelGit, SteppedGit, SteppedOffers
from tests.simulation.model_store import ModelStore
from tests.simulation.parcels import builder, control_parcel, notice_parcel, request_parcel, unwrap
from tests.simulation.promises import WatchedGate
from tests.simulation.stepping import run
from tests.simulation.unreadable import Unpacked, refusal_parcel
from tests.simulation.watching import WatchedEngine, WatchedWorkers


class _Silence:
    """A logger that logs nothing."""

    def __getattr__(self, name: str) -> _Silence:
        setattr(self, name, self)  # found at once from now on
        return self

    def __call__(self, *_: object, **__: object) -> _Silence:
        return self


_SILENCE = _Silence()
_METRICS = OrchestratorMetrics(CollectorRegistry())

_PLACES: list[tuple[Any, str, Any]] = [
    (orchestrator.service.publisher, "request_message", request_parcel),
    (orchestrator.service.publisher, "control_message", control_parcel),
    (orchestrator.service.publisher, "workflow_notice", notice_parcel),
    (orchestrator.service.publisher, "Control", builder(Control)),
    (orchestrator.service.fleet.request_streams, "decode", unwrap),
    (orchestrator.service.inbox_handler, "decode", unwrap),
    (orchestrator.service.inbox_handler, "base64", Unpacked),
    (orchestrator.service.inbox_handler, "TaskRequest", TodoItem),
    (orchestrator.service.inbox_handler, "unreadable_dispatch_outcome", refusal_parcel),
    (orchestrator.service.fleet.workers, "request_message", request_parcel),
    (orchestrator.service.command_handler, "read_body", lru_cache(2000)(read_body)),
    (orchestrator.service.git_publisher, "logger", _SILENCE),
    (orchestrator.service.offers, "logger", _SILENCE),
    (orchestrator.service.inbox_handler, "logger", _SILENCE),
    (orchestrator.service.term, "logger", _SILENCE),
    (orchestrator.service.fleet.workers, "logger", _SILENCE),
    (orchestrator.service.fleet.recovery, "logger", _SILENCE),
]


@contextmanager
def replaced(places: list[tuple[Any, str, Any]]) -> Iterator[None]:
    """Replace attributes for a while."""
    before = [(where, name, getattr(where, name)) for where, name, _ in places]
    for where, name, value in places:
        setattr(where, name, value)
    try:
        yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


@contextmanager
def light_messages() -> Iterator[None]:
    """Messages travel as objects and nothing is logged, which makes a schedule ten times as fast."""
    with replaced(_PLACES):
        yield


class Inbox(list[InboxMessage]):
    """What has arrived. `read`: the ids of the entries among it."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[str] = set()

    async def put(self, item: InboxMessage, /) -> None:
        self.append(item)
        if isinstance(item, Delivery):
            self.read.add(item.entry_id)

    async def get(self) -> InboxMessage:
        return self.get_nowait()

    def get_nowait(self) -> InboxMessage:
        if not self:
            raise asyncio.QueueEmpty
        return self.pop(0)

    def empty(self) -> bool:
        return not self


class SteppedTerm(Term):
    """The real term, which never waits for its inbox."""

    async def gather(self, most: int, timer: float | None) -> list[InboxMessage]:
        items: list[InboxMessage] = []
        while len(items) < most and not self.inbox.empty():
            items.append(self.inbox.get_nowait())
        return items


class SteppedTrail(BackgroundWork):
    """Where something else may happen before `late` work, or the owner die."""

    def __init__(self, late: Callable[[], bool]) -> None:
        self._late = late
        self._work: Work | None = None

    async def start_after_previous(self, work: Work) -> None:
        await self.wait_idle()
        if self._late():
            self._work = work
        else:
            await work()

    async def wait_idle(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            await work()


class Life:
    """One life of an owner: a session as `OrchestratorService` builds it, stepped by the simulation."""

    def __init__(
        self,
        store: ModelStore,
        bus: ModelBus,
        git: ModelGit,
        clock: Clock,
        new_id: Callable[[], str],
        limits: tuple[int, int],
        leases: Leases,
        stale: list[int],
        coroner: Coroner,
        late: Callable[[], bool],
    ) -> None:
        window, self._batch = limits
        self.inbox = Inbox()
        self.gate = WatchedGate(bus)
        self.assignment = store.claim()
        guard = OutcomeGuard(leases)
        self.engine = WatchedEngine(new_id, window, stale, coroner, guard)
        self.publisher = Publisher(bus, self.engine, new_id, clock.wall, guard.copied.update)
        self.git = SteppedGit(git, self.inbox, self.publisher.delivered)
        streams = RequestStreams(bus, self.engine, leases, self.assignment)
        recovery = Recovery(streams, self.engine, leases, self.gate, guard)
        command_handler = CommandHandler(self.engine, store, bus)
        register = WorkerRegister(store, leases)
        workers = WatchedWorkers(self.engine, leases, self.publisher, register, _METRICS, recovery)
        self.handlers = InboxHandler(self.engine, self.publisher, _METRICS, workers, command_handler)
        busy, idle = run(store.open_workflow_ids(self.assignment))
        for workflow in run(store.load_open(busy)):
            self.engine.adopt(workflow, clock.monotonic())
        outbox = run(store.load_outbox(self.assignment))
        self.git.add(run(self.handlers.resume(outbox)), [])
        self.offers = SteppedOffers(git, self.inbox, self.publisher.delivered)
        self.offers.add(run(stored_offers(outbox, store)))
        self._term = SteppedTerm(
            store,
            self.assignment,
            self.inbox,
            self.handlers,
            self.git,
            self.offers,
            Backlog(store, self.engine, idle),
            SteppedTrail(late),
            _METRICS,
            clock,
            Surveyor(),
        )

    def step(self) -> None:
        """One batch. Raises what ends the session."""
        run(self._term.step(self._batch))

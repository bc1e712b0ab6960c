"""The one place that knows how an owner is put together: the real code on models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

from prometheus_client import CollectorRegistry

import orchestrator.handlers
import orchestrator.publisher
import orchestrator.recovery
import orchestrator.wishes
from contracts.ports import ArtifactStore, RefMove
from orchestrator.arrivals import Arrival
from orchestrator.decision import Decision
from orchestrator.engine import Engine
from orchestrator.handlers import Handlers
from orchestrator.inputs import Finished, Input, Lost, Overdue
from orchestrator.keeper import Keeper
from orchestrator.leases import Leases
from orchestrator.metrics import OwnerMetrics
from orchestrator.owner import Clock, Owner, OwnerSettings
from orchestrator.publisher import Publisher
from orchestrator.recovery import DrainGate, Recovery
from orchestrator.state import TaskStatus, Workflow
from orchestrator.store import Store
from orchestrator.submissions import read_body
from orchestrator.wishes import Wishes
from tests.simulation.model_bus import ModelBus
from tests.simulation.model_store import ModelStore
from tests.simulation.parcels import control_parcel, notice_parcel, request_parcel, unwrap
from tests.simulation.stepping import run
from tests.simulation.violations import check

LEASE_SECONDS = 6.0
_METRICS = OwnerMetrics(CollectorRegistry())


class _Silence:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return self._nothing

    @staticmethod
    def _nothing(*_: object, **__: object) -> None: ...


_PLACES: list[tuple[Any, str, Any]] = [
    (orchestrator.publisher, "request_message", request_parcel),
    (orchestrator.publisher, "control_message", control_parcel),
    (orchestrator.publisher, "workflow_notice", notice_parcel),
    (orchestrator.recovery, "decode", unwrap),
    (orchestrator.handlers, "decode", unwrap),
    (orchestrator.wishes, "read_body", lru_cache(2000)(read_body)),
    (orchestrator.handlers, "log", _Silence()),
    (orchestrator.recovery, "log", _Silence()),
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


class WatchedEngine(Engine):
    """The engine, whose window stays what it is, with every accepted input checked (I3)."""

    def __init__(self, new_id: Callable[[], str], window: int, stale: list[int]) -> None:
        self._fixed = window
        self._stale = stale
        super().__init__(new_id, window)

    @property
    def window(self) -> int:
        return self._fixed

    @window.setter
    def window(self, wanted: int) -> None:
        """A window of some 1,000 dispatches would never be reached here."""

    def take(self, workflow_id: str, given: Input, now: float, monotonic: float) -> Decision:
        stale = False
        if isinstance(given, Finished | Lost | Overdue):
            task = self.workflows[workflow_id].tasks.get(given.task_id)
            name = given.outcome.dispatch_id if isinstance(given, Finished) else given.dispatch_id
            stale = task is None or task.status is not TaskStatus.DISPATCHED or task.dispatch_id != name
        decision = super().take(workflow_id, given, now, monotonic)
        if stale:
            self._stale[0] += 1
            check(decision.refused is not None, "I3: accepted what is not the current dispatch's")
        return decision


class SteppedOwner(Owner):
    """The real owner, whose inbox never waits."""

    async def _gather(self, inbox: asyncio.Queue[Arrival], timer: float | None) -> list[Arrival]:
        items: list[Arrival] = []
        waiting = cast("Inbox", inbox)
        while waiting and len(items) < self.settings.batch:
            items.append(waiting.pop(0))
        return items


class Inbox(list[Arrival]):
    """What has arrived."""


class LaterGit:
    """The keeper's place: work is noted, and done by the simulation."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, RefMove]] = []
        self.merges: list[Workflow] = []

    def add(self, moves: list[tuple[str, RefMove]], merges: list[Workflow]) -> None:
        self.moves += moves
        self.merges += merges


class Session:
    """One life of an owner: as `Owner._session` builds it, stepped by the simulation."""

    def __init__(
        self,
        store: ModelStore,
        bus: ModelBus,
        clock: Clock,
        new_id: Callable[[], str],
        limits: tuple[int, int],
        stale: list[int],
    ) -> None:
        window, batch = limits
        self.inbox = Inbox()
        self.git = LaterGit()
        self.gate = DrainGate()
        self._epoch = store.claim()
        database = cast(Store, store)
        settings = OwnerSettings("owner", LEASE_SECONDS, window, batch)
        artifacts = cast(ArtifactStore, None)
        self._owner = SteppedOwner(database, bus, artifacts, settings, clock, _METRICS, new_id)
        self.engine = WatchedEngine(new_id, window, stale)
        self.publisher = Publisher(bus, self.engine, new_id, clock.wall)
        leases = Leases(LEASE_SECONDS)
        recovery = Recovery(bus, self.engine, leases, self.gate)
        wishes = Wishes(self.engine, database)
        self.handlers = Handlers(
            self.engine, leases, self.publisher, database, bus, _METRICS, recovery, wishes
        )
        for workflow in run(store.load_open()):
            self.engine.adopt(workflow, clock.monotonic())
        self.git.add(run(self.handlers.resume(run(store.outbox()))), [])

    def step(self) -> None:
        """One batch. Raises what ends the session."""
        inbox = cast("asyncio.Queue[Arrival]", self.inbox)
        run(self._owner._step(self._epoch, inbox, self.handlers, cast(Keeper, self.git)))

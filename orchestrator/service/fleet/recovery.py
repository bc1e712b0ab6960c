"""Finds lost dispatches: those that neither a worker nor the bus holds (I1, I4, I5).

A dispatch stays on its stream, unread or pending, from its publication until its outcome was published. So a
dispatch that is missing there, and whose outcome is still unknown after all outcomes up to that inspection
were read, was never published or was lost: it must be published again. Nothing else is: what succeeded does
not run twice. An entry that was read in the name of a worker whose heartbeats do not list it is in nobody's
hands.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from contracts.base.errors import BusUnavailable
from contracts.messages.payloads import Heartbeat
from contracts.ports.bus import Delivery
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.leases import Leases
from orchestrator.scheduling.messages import request_stream
from orchestrator.scheduling.outcome_guard import OutcomeGuard
from orchestrator.service.fleet.request_streams import Request, RequestStreams

logger = structlog.get_logger(__name__)

ENOUGH_HEARTBEATS = 2
"""This many heartbeats that do not list an entry read in the worker's name prove that it was stolen."""


@dataclass(slots=True)
class DrainGate:
    """How the reader of outcomes reports that it has read everything up to the moment it was asked."""

    asked: int = 0
    """The newest ticket."""
    answered: int = 0
    """The newest ticket that was answered."""

    def ask(self) -> int:
        """Issue a ticket; `Drained` with it, or a later one, is the answer."""
        self.asked += 1
        return self.asked


@dataclass(frozen=True, slots=True)
class Words:
    """What a worker is told about what it lists. Each is (workflow id, dispatch id)."""

    recalled: list[tuple[str, str]]
    """What it should stop, or not start."""
    confirmed: list[tuple[str, str]]
    """What it may start."""


@dataclass(slots=True)
class Recovery:
    """Inspects the streams, waits for the outcomes, and names what must be published again."""

    streams: RequestStreams
    engine: Engine
    leases: Leases
    gate: DrainGate
    guard: OutcomeGuard
    _missing: dict[int, list[str]] = field(default_factory=dict)
    """Missing dispatches by the ticket after which all outcomes before the inspection are known."""
    _unlisted: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """(stream, entry id, worker) of entries that the worker does not list -> its heartbeats at that sight."""

    def is_missing(self, dispatch_id: str) -> bool:
        """Whether a dispatch in flight is held by no worker, and has no outcome that waits to be judged."""
        held = self.leases.holdings.is_held(dispatch_id) or self.guard.is_held(dispatch_id)
        return dispatch_id in self.engine.in_flight and not held

    async def find_missing(self, dispatch_ids: Iterable[str]) -> bool:
        """Remember which of these dispatches no worker and no stream holds; False when the bus is away."""
        names = list(filter(self.is_missing, dispatch_ids))
        if not names:
            return True
        try:
            present = await self._present(names)
        except BusUnavailable:
            return False
        absent = [name for name in names if name not in present]
        if absent:
            self._missing[self.gate.ask()] = absent
        return True

    async def _present(self, names: list[str]) -> set[str]:
        streams = set()
        for name in names:
            workflow_id, task_id = self.engine.in_flight[name]
            streams.add(request_stream(self.engine.workflows[workflow_id].tasks[task_id]))
        present: set[str] = set()
        unlisted: dict[tuple[str, str, str], int] = {}
        for stream in streams:
            seen = await self.streams.tidied(stream)
            stolen = self._stolen(seen, set(names), unlisted)
            await self.streams.take_off(stolen)
            present.update(one.dispatch_id for one in seen if one.delivery not in stolen)
        others = {key: count for key, count in self._unlisted.items() if key[0] not in streams}
        self._unlisted = others | unlisted
        return present

    def _stolen(
        self, seen: Iterable[Request], names: set[str], unlisted: dict[tuple[str, str, str], int]
    ) -> list[Delivery]:
        """Entries that were read in the name of a living worker that never had them, as it shows.

        Its heartbeats did not list the dispatch when the entry was first seen there, nor for a while after.
        """
        found = []
        for one in seen:
            view = self.leases.workers.get(one.holder or "")
            if view is None or one.holder is None or one.dispatch_id not in names:
                continue
            if self.leases.holdings.was_listed_by(one.dispatch_id, one.holder):
                continue  # it has ended there, and its outcome is on the way
            key = (one.delivery.stream, one.delivery.entry_id, one.holder)
            first = self._unlisted.get(key, view.heartbeats)
            if view.heartbeats - first >= ENOUGH_HEARTBEATS:
                logger.warning("stolen_reading", worker_id=one.holder, dispatch_id=one.dispatch_id)
                found.append(one.delivery)
            else:
                unlisted[key] = first
        return found

    def confirm_missing(self, ticket: int) -> list[str]:
        """The missing dispatches of inspections up to this ticket that are still in flight and not held."""
        asked = [number for number in self._missing if number <= ticket]
        names = [name for number in asked for name in self._missing.pop(number)]
        lost = list(filter(self.is_missing, names))
        if lost:
            logger.warning("dispatches_republished", count=len(lost))
        return lost

    def words(self, heartbeat: Heartbeat) -> Words:
        """What a worker is told about what it lists for these shards.

        What is out of date is recalled. What it has not started may be old: it is confirmed, or recalled when
        another worker had it before.
        """
        words = Words([], [])
        for one in heartbeat.executions:
            if not one.workflow_id or not self.streams.assignment.has(one.workflow_id):
                continue
            name = (one.workflow_id, one.dispatch_id)
            if one.dispatch_id not in self.engine.in_flight:
                words.recalled.append(name)
            elif not one.started:
                first, *_ = self.leases.holdings.holders_of(one.dispatch_id)
                (words.confirmed if first == heartbeat.worker_id else words.recalled).append(name)
        return words

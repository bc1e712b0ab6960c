"""Which workers are alive and what they hold, from heartbeats, on a monotonic clock. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts.messages.payloads import Heartbeat


@dataclass(slots=True)
class HeardWorker:
    """A worker and its last heartbeat."""

    heartbeat: Heartbeat
    renewed_at: float
    """When its lease was last renewed, on the monotonic clock."""


@dataclass(slots=True)
class Holding:
    """A dispatch that heartbeats list."""

    holders: set[str] = field(default_factory=set)
    """The workers that list it."""
    started_at: float | None = None
    """When a heartbeat first listed it as started, on the monotonic clock."""


class Leases:
    """Tells which workers are dead: those whose lease no heartbeat renewed for `lease_seconds`.

    Leases run out only while the orchestrator keeps up with the heartbeats: after a gap of its own of more
    than half a lease (it was stopped, the bus was unavailable), every lease is renewed (I8).
    """

    def __init__(self, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        self.workers: dict[str, HeardWorker] = {}
        self.holdings: dict[str, Holding] = {}
        self._caught_up_at: float | None = None

    def renew(self, heartbeat: Heartbeat, now: float) -> bool:
        """Renew a worker's lease and record what it holds; True when the worker is new."""
        known = self.workers.get(heartbeat.worker_id)
        before = {one.dispatch_id for one in known.heartbeat.executions} if known else set()
        self.workers[heartbeat.worker_id] = HeardWorker(heartbeat, now)
        for execution in heartbeat.executions:
            holding = self.holdings.setdefault(execution.dispatch_id, Holding())
            holding.holders.add(heartbeat.worker_id)
            if execution.started and holding.started_at is None:
                holding.started_at = now
            before.discard(execution.dispatch_id)
        for dispatch_id in before:
            self._release(dispatch_id, heartbeat.worker_id)
        return known is None

    def mark_caught_up(self, now: float) -> None:
        """Record that all heartbeats up to `now` were handled. To be called several times a lease."""
        if self._caught_up_at is not None and now - self._caught_up_at > self.lease_seconds / 2:
            for view in self.workers.values():
                view.renewed_at = now
        self._caught_up_at = now

    def suspend(self) -> None:
        """Record that heartbeats cannot arrive; the next `mark_caught_up` renews every lease."""
        self._caught_up_at = float("-inf")

    def expired(self, now: float) -> list[str]:
        """The workers whose lease has run out."""
        return [name for name, view in self.workers.items() if now - view.renewed_at > self.lease_seconds]

    def remove(self, worker_id: str) -> tuple[Heartbeat | None, list[tuple[str, bool]]]:
        """Remove a worker; its last heartbeat, and (dispatch id, started) of what no other worker holds."""
        view = self.workers.pop(worker_id, None)
        if view is None:
            return None, []
        orphans = []
        for execution in view.heartbeat.executions:
            if self._release(execution.dispatch_id, worker_id):
                orphans.append((execution.dispatch_id, execution.started))
        return view.heartbeat, orphans

    def _release(self, dispatch_id: str, worker_id: str) -> bool:
        holding = self.holdings.get(dispatch_id)
        if holding is None:
            return False
        holding.holders.discard(worker_id)
        if not holding.holders:
            del self.holdings[dispatch_id]
            return True
        return False

    def is_held(self, dispatch_id: str) -> bool:
        """Whether a living worker lists this dispatch."""
        return dispatch_id in self.holdings

    def holders(self, dispatch_ids: Iterable[str]) -> dict[str, list[str]]:
        """The dispatches, grouped by the workers that list them."""
        found: dict[str, list[str]] = {}
        for dispatch_id in dispatch_ids:
            holding = self.holdings.get(dispatch_id)
            for worker_id in sorted(holding.holders) if holding else ():
                found.setdefault(worker_id, []).append(dispatch_id)
        return found

    @property
    def streams(self) -> set[str]:
        """The request streams that living workers read."""
        return {stream for view in self.workers.values() for stream in view.heartbeat.streams}

    @property
    def slots(self) -> int:
        """How many executions all living workers can run at once."""
        return sum(view.heartbeat.slots for view in self.workers.values())

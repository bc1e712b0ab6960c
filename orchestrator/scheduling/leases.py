"""Who lives and who holds what, from heartbeats, on the owner's monotonic clock. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from contracts.messages.events import Heartbeat


@dataclass(slots=True)
class HeardWorker:
    """A worker as last heard of."""

    heartbeat: Heartbeat
    heard_at: float


@dataclass(slots=True)
class Holding:
    """A dispatch that heartbeats list: by whom, and since when somebody runs it."""

    holders: set[str] = field(default_factory=set)
    started_at: float | None = None


class Leases:
    """A worker that is silent for `lease_seconds` is dead, unless the owner itself was not listening.

    Leases advance only while the owner is caught up: after a gap of its own (stopped, bus away) of more than
    half a lease, every worker gets a full lease again (I8).
    """

    def __init__(self, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        self.workers: dict[str, HeardWorker] = {}
        self.holdings: dict[str, Holding] = {}
        self._listened_at: float | None = None

    def heard(self, heartbeat: Heartbeat, now: float) -> bool:
        """Take a heartbeat in; True when the worker is new."""
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
            self._let_go(dispatch_id, heartbeat.worker_id)
        return known is None

    def listening(self, now: float) -> None:
        """The owner is caught up at `now`. To be called several times a lease."""
        if self._listened_at is not None and now - self._listened_at > self.lease_seconds / 2:
            for view in self.workers.values():
                view.heard_at = now
        self._listened_at = now

    def deaf(self) -> None:
        """Heartbeats cannot be heard now; the next `listening` renews every lease."""
        self._listened_at = float("-inf")

    def silent(self, now: float) -> list[str]:
        """Workers whose lease has run out."""
        return [name for name, view in self.workers.items() if now - view.heard_at > self.lease_seconds]

    def remove(self, worker_id: str) -> tuple[Heartbeat | None, list[tuple[str, bool]]]:
        """Forget a worker: its last heartbeat, and (dispatch id, started) of what nobody else holds."""
        view = self.workers.pop(worker_id, None)
        if view is None:
            return None, []
        orphans = []
        for execution in view.heartbeat.executions:
            if self._let_go(execution.dispatch_id, worker_id):
                orphans.append((execution.dispatch_id, execution.started))
        return view.heartbeat, orphans

    def _let_go(self, dispatch_id: str, worker_id: str) -> bool:
        holding = self.holdings.get(dispatch_id)
        if holding is None:
            return False
        holding.holders.discard(worker_id)
        if not holding.holders:
            del self.holdings[dispatch_id]
            return True
        return False

    def held(self, dispatch_id: str) -> bool:
        """Whether some living worker lists this dispatch."""
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
        """What living workers read."""
        return {stream for view in self.workers.values() for stream in view.heartbeat.streams}

    @property
    def slots(self) -> int:
        """What all living workers can run at once."""
        return sum(view.heartbeat.slots for view in self.workers.values())

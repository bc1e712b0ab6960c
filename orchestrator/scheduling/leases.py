"""Which workers are heard, from heartbeats, on a monotonic clock. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.messages.payloads import Heartbeat
from orchestrator.scheduling.holdings import Holdings

_REMEMBERED = 10_000


@dataclass(slots=True)
class HeardWorker:
    """A worker and its last heartbeat."""

    heartbeat: Heartbeat
    renewed_at: float
    """When its lease was last renewed, on the monotonic clock."""
    heartbeats: int = 1
    """How many of its heartbeats were heard."""


class Leases:
    """Tells which workers are silent: those whose lease no heartbeat renewed for `lease_seconds`.

    Leases run out only while the orchestrator keeps up with the heartbeats: after a gap of its own of more
    than half a lease (it was stopped, the bus was unavailable), every lease is renewed (I8).
    """

    def __init__(self, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        self.workers: dict[str, HeardWorker] = {}
        self.holdings = Holdings()
        self._announced: dict[str, None] = {}
        self._caught_up_at: float | None = None
        self._listening_since = float("inf")

    def renew(self, heartbeat: Heartbeat, now: float) -> bool:
        """Renew a worker's lease and record what it holds; True when the worker is new, or back."""
        name = heartbeat.worker_id
        known = self.workers.get(name)
        before = known.heartbeat.executions if known else ()
        count = known.heartbeats + 1 if known else 1
        self.workers[name] = HeardWorker(heartbeat, now, count)
        self.holdings.replace(name, before, heartbeat.executions, now)
        if known is None:
            self.announce(name)
            if heartbeat.keeper_id:
                self.announce(heartbeat.keeper_id)
        return known is None

    def announce(self, name: str) -> None:
        """Record that there is, or was, a worker or keeper of this name."""
        self._announced.pop(name, None)
        self._announced[name] = None
        if len(self._announced) > _REMEMBERED:
            del self._announced[next(iter(self._announced))]

    def was_announced(self, name: str) -> bool:
        """Whether a worker or keeper of this name was ever heard; of those gone, the newest are kept."""
        return name in self.workers or name in self._announced

    def listens_for_a_lease(self, now: float) -> bool:
        """Whether heartbeats were heard without a gap for so long that every living worker was."""
        return now - self._listening_since > self.lease_seconds

    def mark_caught_up(self, now: float) -> None:
        """Record that all heartbeats up to `now` were handled. To be called several times a lease."""
        if self._caught_up_at is None or now - self._caught_up_at > self.lease_seconds / 2:
            self._listening_since = now
            if self._caught_up_at is not None:
                for view in self.workers.values():
                    view.renewed_at = now
        self._caught_up_at = now

    def suspend(self) -> None:
        """Record that heartbeats cannot arrive; the next `mark_caught_up` renews every lease."""
        self._caught_up_at = float("-inf")

    def expired(self, now: float) -> list[str]:
        """The workers whose lease has run out."""
        return [name for name, view in self.workers.items() if now - view.renewed_at > self.lease_seconds]

    def members(self, name: str) -> list[str]:
        """The workers that go when this one goes: itself, and those that it keeps."""
        kept = [one for one, view in self.workers.items() if view.heartbeat.keeper_id == name]
        return kept if kept and name not in self.workers else [name, *kept]

    def remove(self, worker_id: str, now: float) -> tuple[Heartbeat | None, list[str]]:
        """Remove a worker; its last heartbeat, and what it held and no other worker holds."""
        view = self.workers.pop(worker_id, None)
        if view is None:
            return None, []
        names = [one.dispatch_id for one in view.heartbeat.executions]
        return view.heartbeat, [name for name in names if self.holdings.release(name, worker_id, now)]

    @property
    def streams(self) -> set[str]:
        """The request streams that heard workers read."""
        return {stream for view in self.workers.values() for stream in view.heartbeat.streams}

    @property
    def slots(self) -> int:
        """How many executions all heard workers can run at once."""
        return sum(view.heartbeat.slots for view in self.workers.values())

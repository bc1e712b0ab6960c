"""Whether an outcome can come from the worker that it names. Monotonic times. No I/O."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from contracts.messages.payloads import TaskOutcome
from contracts.ports.bus import Delivery
from orchestrator.scheduling.leases import Leases

NO_WORKER: Final = "none"
"""The worker of outcomes that the orchestrator itself gives for dispatches that nobody can read: failures."""
_MOST_HELD: Final = 1_000
_MOST_HELD_BYTES: Final = 32_000_000


class Credibility(Enum):
    """Whether an outcome of a dispatch in flight can be true; the value is the reason to refuse it."""

    CREDIBLE = ""
    UNHEARD = "its worker has never announced itself"
    CONTRADICTED = "another worker has the dispatch, and this one never had it"


@dataclass(frozen=True, slots=True)
class HeldOutcome:
    """An outcome with what is needed to apply it later."""

    delivery: Delivery
    outcome: TaskOutcome
    workflow_id: str
    task_id: str


@dataclass(slots=True)
class OutcomeGuard:
    """Judges outcomes by what heartbeats said, and keeps those that wait for one.

    Whoever can write to the streams can read a dispatch id there. So an outcome must come from a worker that
    announced itself, and not from one that never listed the dispatch while another one lists it. A worker may
    well have finished before its first heartbeat listed a dispatch; then nobody lists it.
    """

    leases: Leases
    copied: set[str] = field(default_factory=set)
    """Dispatches that may be on their stream twice, so that two workers may have them."""
    _held: dict[Delivery, tuple[HeldOutcome, float]] = field(default_factory=dict)
    """Outcomes that wait, and until when."""

    def judge(self, outcome: TaskOutcome, now: float) -> Credibility:
        """What the heartbeats up to now say about an outcome."""
        worker, dispatch = outcome.worker_id, outcome.dispatch_id
        if worker == NO_WORKER and outcome.status == "failed":
            return Credibility.CREDIBLE
        holdings = self.leases.holdings
        others = any(name != worker for name in holdings.holders_of(dispatch))
        if others and dispatch not in self.copied and not holdings.was_listed_by(dispatch, worker):
            return Credibility.CONTRADICTED
        # A worker that ended while nobody listened will not be heard any more.
        if self.leases.was_announced(worker) or not self.leases.listens_for_a_lease(now):
            return Credibility.CREDIBLE
        return Credibility.UNHEARD

    def hold(self, one: HeldOutcome, now: float) -> bool:
        """Keep an outcome until its worker is heard, for at most a lease. False when too much is kept."""
        size = sum(len(delivery.payload) for delivery in self._held) + len(one.delivery.payload)
        if len(self._held) >= _MOST_HELD or size > _MOST_HELD_BYTES:
            return False
        self._held.setdefault(one.delivery, (one, now + self.leases.lease_seconds))
        return True

    def is_held(self, dispatch_id: str) -> bool:
        """Whether an outcome of this dispatch waits."""
        return any(one.outcome.dispatch_id == dispatch_id for one, _ in self._held.values())

    def take_judged(self, in_flight: Container[str], now: float) -> list[HeldOutcome]:
        """Remove and return the outcomes whose wait is over, or that nobody waits for any more."""
        judged = [
            one
            for one, until in self._held.values()
            if now >= until
            or one.outcome.dispatch_id not in in_flight
            or self.judge(one.outcome, now) is not Credibility.UNHEARD
        ]
        for one in judged:
            del self._held[one.delivery]
        return judged

    def retain(self, in_flight: Container[str]) -> None:
        """Forget what is not in flight any more."""
        self.copied.difference_update([name for name in self.copied if name not in in_flight])

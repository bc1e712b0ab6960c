"""Which workers hold which dispatches, and for how long each was executed. Monotonic times. No I/O."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from contracts.messages.payloads import Execution


@dataclass(slots=True)
class Holding:
    """A dispatch that heartbeats list, or have listed."""

    holders: dict[str, None] = field(default_factory=dict)
    """The living workers that list it, in the order in which they did first."""
    listed_by: set[str] = field(default_factory=set)
    """All workers that ever listed it."""
    running: set[str] = field(default_factory=set)
    """Those of `holders` that list it as started."""
    started_at: float | None = None
    """When the first of `running` listed it, None while there is none."""
    spent: float = 0.0
    """Seconds for which it was executed before `started_at`, by workers that fell silent."""

    def release(self, worker_id: str, now: float) -> bool:
        """Take it out of a worker's hands; True when it is in nobody's now."""
        self.holders.pop(worker_id, None)
        self.running.discard(worker_id)
        if not self.running and self.started_at is not None:
            self.spent += now - self.started_at
            self.started_at = None
        return not self.holders


class Holdings:
    """What heartbeats say about dispatches. A dispatch is forgotten by `retain` alone.

    A dispatch that passes from one silent worker to the next keeps the time that it was executed: one that
    takes whole machines down ends at its deadline, and not never.
    """

    def __init__(self) -> None:
        self._by_dispatch: dict[str, Holding] = {}

    def replace(
        self, worker_id: str, before: Iterable[Execution], after: Iterable[Execution], now: float
    ) -> None:
        """Record that a worker listed `before` and lists `after` now."""
        dropped = {one.dispatch_id for one in before}
        for execution in after:
            dropped.discard(execution.dispatch_id)
            holding = self._by_dispatch.setdefault(execution.dispatch_id, Holding())
            holding.holders[worker_id] = None
            holding.listed_by.add(worker_id)
            if execution.started:
                holding.running.add(worker_id)
                holding.started_at = now if holding.started_at is None else holding.started_at
        for dispatch_id in dropped:
            self.release(dispatch_id, worker_id, now)

    def release(self, dispatch_id: str, worker_id: str, now: float) -> bool:
        """Take a dispatch out of a worker's hands; True when it is in nobody's now."""
        holding = self._by_dispatch.get(dispatch_id)
        return holding is None or holding.release(worker_id, now)

    def charge(self, dispatch_ids: Iterable[str], seconds: float) -> None:
        """Count time for dispatches that a silent worker had read and never listed as started."""
        for dispatch_id in dispatch_ids:
            self._by_dispatch.setdefault(dispatch_id, Holding()).spent += seconds

    def is_held(self, dispatch_id: str) -> bool:
        """Whether a living worker lists this dispatch."""
        return bool(self.holders_of(dispatch_id))

    def is_running(self, dispatch_id: str) -> bool:
        """Whether a living worker lists this dispatch as started."""
        holding = self._by_dispatch.get(dispatch_id)
        return holding is not None and bool(holding.running)

    def holders_of(self, dispatch_id: str) -> list[str]:
        """The living workers that list this dispatch, first the one that has done so for longest."""
        holding = self._by_dispatch.get(dispatch_id)
        return list(holding.holders) if holding else []

    def was_listed_by(self, dispatch_id: str, worker_id: str) -> bool:
        """Whether this worker ever listed this dispatch."""
        holding = self._by_dispatch.get(dispatch_id)
        return holding is not None and worker_id in holding.listed_by

    def holders(self, dispatch_ids: Iterable[str]) -> dict[str, list[str]]:
        """The dispatches, grouped by the workers that list them."""
        found: dict[str, list[str]] = {}
        for dispatch_id in dispatch_ids:
            for worker_id in sorted(self.holders_of(dispatch_id)):
                found.setdefault(worker_id, []).append(dispatch_id)
        return found

    def executed_seconds(self, now: float) -> dict[str, float]:
        """For how long each dispatch has been executed, of those that ever were."""
        return {
            name: holding.spent + (now - holding.started_at if holding.started_at is not None else 0.0)
            for name, holding in self._by_dispatch.items()
            if holding.spent or holding.started_at is not None
        }

    def retain(self, in_flight: Container[str]) -> None:
        """Forget the dispatches that nobody lists and that are not in flight."""
        over = [name for name, one in self._by_dispatch.items() if not one.holders and name not in in_flight]
        for name in over:
            del self._by_dispatch[name]

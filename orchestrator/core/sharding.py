"""Which orchestrator owns which shards, decided from what the database shows. No clock, no I/O."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

from contracts.messages.channels import SHARDS


@lru_cache(maxsize=4096)
def shard_of(workflow_id: str) -> int:
    """The shard of a workflow; it never changes."""
    return zlib.crc32(workflow_id.encode()) % SHARDS


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard as stored."""

    shard: int
    owner: str | None
    """The id of an orchestrator, None when the shard is free."""
    epoch: int
    """Grows with each change of the owner."""


@dataclass(frozen=True, slots=True)
class OwnershipSnapshot:
    """What the database shows at one moment."""

    renewals: Mapping[str, int]
    """The renewal counter of each orchestrator, by its id."""
    shards: tuple[ShardRow, ...]
    """Every shard, in order."""

    def held_by(self, orchestrator_id: str) -> dict[int, int]:
        """The shards of this orchestrator with their epochs."""
        return {row.shard: row.epoch for row in self.shards if row.owner == orchestrator_id}


@dataclass(frozen=True, slots=True)
class ShardAssignment:
    """The shards of one term."""

    epochs: Mapping[int, int]
    """The epoch of each shard; it fences whoever owned the shard before (I3)."""

    def has(self, workflow_id: str | None) -> bool:
        """Whether the workflow belongs to this term; None belongs to shard 0."""
        return (shard_of(workflow_id) if workflow_id else 0) in self.epochs


@dataclass(frozen=True, slots=True)
class _Counter:
    value: int
    moved_at: float
    first_seen: float


@dataclass(slots=True)
class FailureDetector:
    """Decides which orchestrators are alive, by their renewal counters and its own monotonic clock (I8).

    An orchestrator is dead when its counter has not changed for a lease. It counts as living only after it
    was seen alive for a lease: one that restarts again and again must not make the others release shards.
    """

    lease_seconds: float
    _counters: dict[str, _Counter] = field(default_factory=dict)
    _observed_at: float = float("-inf")

    def observe(self, renewals: Mapping[str, int], now: float) -> None:
        """Record the counters. After a gap of half a lease between two calls all get a full lease again."""
        gap = now - self._observed_at > self.lease_seconds / 2
        self._observed_at = now
        before = self._counters
        self._counters = {}
        for name, value in renewals.items():
            known = before.get(name, _Counter(value, now, now))
            stands = value == known.value and not gap
            self._counters[name] = _Counter(value, known.moved_at if stands else now, known.first_seen)

    @property
    def dead(self) -> dict[str, int]:
        """The orchestrators whose counter has not changed for a lease, and its value."""
        return {name: one.value for name, one in self._counters.items() if self._is_stale(one)}

    @property
    def living(self) -> frozenset[str]:
        """The orchestrators that have been seen alive for a lease."""
        proven = self._observed_at - self.lease_seconds
        return frozenset(
            name
            for name, one in self._counters.items()
            if one.first_seen <= proven and not self._is_stale(one)
        )

    def _is_stale(self, counter: _Counter) -> bool:
        return self._observed_at - counter.moved_at > self.lease_seconds


@dataclass(frozen=True, slots=True)
class ShardTransfer:
    """What an orchestrator should do now."""

    claim: tuple[ShardRow, ...] = ()
    """Shards to claim, as they were seen."""
    release: tuple[int, ...] = ()
    """Shards to release."""

    def __bool__(self) -> bool:
        return bool(self.claim or self.release)


def next_transfer(me: str, snapshot: OwnershipSnapshot, living: Set[str]) -> ShardTransfer:
    """The next step of `me` towards ceil(shards / orchestrators) for each.

    A shard is free when it has no owner, or when its owner is not registered.
    """
    owners = sorted({me, *living})
    fair = -(-SHARDS // len(owners))
    mine = [row.shard for row in snapshot.shards if row.owner == me]
    if len(mine) > fair:
        return ShardTransfer(release=tuple(mine[fair:]))
    free = [row for row in snapshot.shards if row.owner is None or row.owner not in snapshot.renewals]
    # Each begins at another shard: two that claim at the same moment must not collide on all of them.
    rank = owners.index(me)
    free.sort(key=lambda row: row.shard % len(owners) != rank)
    return ShardTransfer(claim=tuple(free[: fair - len(mine)]))

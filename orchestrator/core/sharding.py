"""Who of several owners holds which shards, judged from what the database shows. No clock, no I/O."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

from contracts.messages.channels import SHARDS


@lru_cache(maxsize=4096)
def shard_of(workflow_id: str) -> int:
    """The shard a workflow belongs to for ever."""
    return zlib.crc32(workflow_id.encode()) % SHARDS


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard as stored; `owner` None: free."""

    shard: int
    owner: str | None
    epoch: int


@dataclass(frozen=True, slots=True)
class OwnershipSnapshot:
    """One look at the database: every owner's renewal counter, and every shard in order."""

    renewals: Mapping[str, int]
    shards: tuple[ShardRow, ...]

    def held_by(self, orchestrator_id: str) -> dict[int, int]:
        """The shards of this owner with their epochs."""
        return {row.shard: row.epoch for row in self.shards if row.owner == orchestrator_id}


@dataclass(frozen=True, slots=True)
class ShardAssignment:
    """The shards of one session, each with the epoch that fences whoever held it before (I3)."""

    epochs: Mapping[int, int]

    def has(self, workflow_id: str | None) -> bool:
        """Whether the workflow is this session's; what names none belongs to shard 0."""
        return (shard_of(workflow_id) if workflow_id else 0) in self.epochs


@dataclass(frozen=True, slots=True)
class _Counter:
    value: int
    moved_at: float
    first_seen: float


@dataclass(slots=True)
class FailureDetector:
    """Which owners live, by their renewal counters and the watcher's own monotonic clock (I8).

    A counter that stood still for a lease is that of a dead owner. An owner counts as living only after a
    lease of life: one that keeps dying young must not make the others give shards away.
    """

    lease_seconds: float
    _counters: dict[str, _Counter] = field(default_factory=dict)
    _looked_at: float = float("-inf")

    def see(self, renewals: Mapping[str, int], now: float) -> None:
        """Take a look in. After a gap between two looks every owner gets a full lease again."""
        gap = now - self._looked_at > self.lease_seconds / 2
        self._looked_at = now
        before = self._counters
        self._counters = {}
        for name, value in renewals.items():
            known = before.get(name, _Counter(value, now, now))
            stands = value == known.value and not gap
            self._counters[name] = _Counter(value, known.moved_at if stands else now, known.first_seen)

    @property
    def dead(self) -> dict[str, int]:
        """Owners whose counter stood still for a lease, and where it stands."""
        return {name: one.value for name, one in self._counters.items() if self._still(one)}

    @property
    def living(self) -> frozenset[str]:
        """Owners that have been seen alive for a lease."""
        seasoned = self._looked_at - self.lease_seconds
        return frozenset(
            name
            for name, one in self._counters.items()
            if one.first_seen <= seasoned and not self._still(one)
        )

    def _still(self, counter: _Counter) -> bool:
        return self._looked_at - counter.moved_at > self.lease_seconds


@dataclass(frozen=True, slots=True)
class ShardTransfer:
    """What an owner should do now: take shards as they were seen, or give some back."""

    claim: tuple[ShardRow, ...] = ()
    release: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.claim or self.release)


def next_transfer(me: str, roll: OwnershipSnapshot, living: Set[str]) -> ShardTransfer:
    """Towards ceil(shards / owners) for each. A shard whose owner is not on the roll is free."""
    owners = sorted({me, *living})
    fair = -(-SHARDS // len(owners))
    mine = [row.shard for row in roll.shards if row.owner == me]
    if len(mine) > fair:
        return ShardTransfer(release=tuple(mine[fair:]))
    free = [row for row in roll.shards if row.owner is None or row.owner not in roll.renewals]
    # Each begins elsewhere, so that those who look at the same moment do not all want the same.
    rank = owners.index(me)
    free.sort(key=lambda row: row.shard % len(owners) != rank)
    return ShardTransfer(claim=tuple(free[: fair - len(mine)]))

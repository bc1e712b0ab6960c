"""An orchestrator among others: renews its registration, detects the dead, and acquires shards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from contracts.base.errors import StoreUnavailable
from orchestrator.core.sharding import (
    FailureDetector,
    OwnershipSnapshot,
    ShardAssignment,
    ShardTransfer,
    next_transfer,
)
from orchestrator.storage.ownership import OrchestratorEntry, OwnershipStore

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Membership:
    """Renews several times a lease."""

    ownership: OwnershipStore
    entry: OrchestratorEntry
    failure_detector: FailureDetector
    monotonic: Callable[[], float]
    note: str = ""
    """What this orchestrator waits for, for people to see; "" for nothing."""
    _held: dict[int, int] = field(default_factory=dict)
    """The shards of this orchestrator and their epochs, as of the last renewal."""
    _transfer: ShardTransfer = field(default_factory=ShardTransfer)
    """What should change, as of the last renewal."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def renew_seconds(self) -> float:
        """The pause between two renewals: short, since a death is noticed up to two pauses after a lease."""
        return min(self.failure_detector.lease_seconds / 6, 0.5)

    async def run(self) -> None:
        """Run until cancelled; an outage of the database is waited out."""
        while True:
            with suppress(StoreUnavailable):
                async with self._lock:
                    await self._renew()
            await asyncio.sleep(self.renew_seconds)

    def report_waiting(self, note: str) -> None:
        """Store what this orchestrator waits for with the next renewal, for people to see."""
        self.note = note

    def still_holds(self, assignment: ShardAssignment) -> bool:
        """Whether a term with these shards may continue, as of the last renewal."""
        return self._held == assignment.epochs and not self._transfer

    async def acquire_assignment(self) -> ShardAssignment:
        """Release shards beyond a fair share; claim free ones and, under new epochs, those held before."""
        async with self._lock:
            await self._renew()
            released = self._transfer.release
            wanted = {row.shard: row.epoch for row in self._transfer.claim} | {
                shard: epoch for shard, epoch in self._held.items() if shard not in released
            }
            if not wanted and not released:
                return ShardAssignment({})
            epochs = await self.ownership.transfer_shards(self.entry.orchestrator_id, wanted, released)
            await self._renew()
        if epochs or released:
            logger.info("shards_acquired", shards=len(epochs), released=len(released))
        return ShardAssignment(epochs)

    async def leave(self) -> None:
        """Release everything; while the database is unavailable the lease runs out instead."""
        with suppress(StoreUnavailable):
            await self.ownership.leave(self.entry.orchestrator_id)

    async def _renew(self) -> None:
        snapshot = await self.ownership.renew(self.entry, self.note)
        self.failure_detector.observe(snapshot.renewals, self.monotonic())
        dead = self.failure_detector.dead
        if dead:
            logger.warning("orchestrators_dead", orchestrators=sorted(dead))
            await self.ownership.remove_dead(dead)
            present = {name: count for name, count in snapshot.renewals.items() if name not in dead}
            snapshot = OwnershipSnapshot(present, snapshot.shards)
        self._held = snapshot.held_by(self.entry.orchestrator_id)
        self._transfer = next_transfer(self.entry.orchestrator_id, snapshot, self.failure_detector.living)

"""An owner among others: it renews, watches, and says when shards should change hands."""

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
    """Looks several times a lease; `note` is what people should know this owner waits for, "" for nothing."""

    ownership: OwnershipStore
    entry: OrchestratorEntry
    failure_detector: FailureDetector
    monotonic: Callable[[], float]
    note: str = ""
    _held: dict[int, int] = field(default_factory=dict)
    _transfer: ShardTransfer = field(default_factory=ShardTransfer)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def renew_seconds(self) -> float:
        """Between two looks: short, since a death is noticed up to two of these after a lease."""
        return min(self.failure_detector.lease_seconds / 6, 0.5)

    async def run(self) -> None:
        """Until cancelled; an outage of the database is waited out."""
        while True:
            with suppress(StoreUnavailable):
                async with self._lock:
                    await self._renew()
            await asyncio.sleep(self.renew_seconds)

    def report_waiting(self, note: str) -> None:
        """Let people know what this owner waits for, with the next look."""
        self.note = note

    def still_holds(self, assignment: ShardAssignment) -> bool:
        """Whether a session on this share may go on, as of the last look."""
        return self._held == assignment.epochs and not self._transfer

    async def acquire_assignment(self) -> ShardAssignment:
        """Give back what is too much, and take what is free and what was held before under new epochs."""
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
        """Say farewell; a database that is away lets the lease run out instead."""
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

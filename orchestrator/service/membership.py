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

log = structlog.get_logger("orchestrator.service.membership")


@dataclass(slots=True)
class Membership:
    """Looks several times a lease; `note` is what people should know this owner waits for, "" for nothing."""

    ownership: OwnershipStore
    entry: OrchestratorEntry
    watch: FailureDetector
    monotonic: Callable[[], float]
    note: str = ""
    _held: dict[int, int] = field(default_factory=dict)
    _change: ShardTransfer = field(default_factory=ShardTransfer)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def pause_seconds(self) -> float:
        """Between two looks: short, since a death is noticed up to two of these after a lease."""
        return min(self.watch.lease_seconds / 6, 0.5)

    async def run(self) -> None:
        """Until cancelled; an outage of the database is waited out."""
        while True:
            with suppress(StoreUnavailable):
                async with self._turn:
                    await self._look()
            await asyncio.sleep(self.pause_seconds)

    def wait_for(self, note: str) -> None:
        """Let people know what this owner waits for, with the next look."""
        self.note = note

    def keeps(self, assignment: ShardAssignment) -> bool:
        """Whether a session on this share may go on, as of the last look."""
        return self._held == assignment.epochs and not self._change

    async def acquire_assignment(self) -> ShardAssignment:
        """Give back what is too much, and take what is free and what was held before under new epochs."""
        async with self._turn:
            await self._look()
            released = self._change.release
            wanted = {row.shard: row.epoch for row in self._change.claim} | {
                shard: epoch for shard, epoch in self._held.items() if shard not in released
            }
            if not wanted and not released:
                return ShardAssignment({})
            epochs = await self.ownership.transfer_shards(self.entry.orchestrator_id, wanted, released)
            await self._look()
        if epochs or released:
            log.info("share_taken", shards=len(epochs), released=len(released))
        return ShardAssignment(epochs)

    async def leave(self) -> None:
        """Say farewell; a database that is away lets the lease run out instead."""
        with suppress(StoreUnavailable):
            await self.ownership.leave(self.entry.orchestrator_id)

    async def _look(self) -> None:
        roll = await self.ownership.beat(self.entry, self.note)
        self.watch.see(roll.renewals, self.monotonic())
        dead = self.watch.dead
        if dead:
            log.warning("owners_gone", owners=sorted(dead))
            await self.ownership.remove_dead(dead)
            present = {name: count for name, count in roll.renewals.items() if name not in dead}
            roll = OwnershipSnapshot(present, roll.shards)
        self._held = roll.held_by(self.entry.orchestrator_id)
        self._change = next_transfer(self.entry.orchestrator_id, roll, self.watch.living)

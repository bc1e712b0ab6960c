"""Rollouts, for faces and for the port that programs record through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.messages.rollout import RolloutRecord
from orchestrator.core.audit.entries import AuditEntry
from orchestrator.storage.rollouts.figures import (
    ArmSums,
    OutcomeCount,
    Point,
    ValueCount,
    read_arms,
    read_curves,
    read_outcomes,
    read_values,
)
from orchestrator.storage.rollouts.recording import RecordingRules, any_lost, give_up, record_requests
from orchestrator.storage.rollouts.state import (
    RolloutDecision,
    RolloutRow,
    add_rollout,
    change_rollout,
    read_decisions,
    read_rollout,
)
from orchestrator.storage.sql.database import Database

__all__ = ["RecordingRules", "RolloutDecision", "RolloutRow", "RolloutStore", "StageSums"]


@dataclass(frozen=True, slots=True)
class StageSums:
    """What is known of one stage."""

    legacy: ArmSums
    multi_agent: ArmSums
    outcomes: Sequence[OutcomeCount]
    values: Sequence[ValueCount]


class RolloutStore:
    """Reads and changes rollouts. Every method raises StoreUnavailable during an outage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, rollout_id: str | None = None) -> RolloutRow | None:
        """One rollout, or the newest; None where there is none."""
        return await self._database.read(lambda one: read_rollout(one, rollout_id))

    async def decisions(self, rollout_id: str) -> list[RolloutDecision]:
        """All decisions about it, oldest first."""
        return await self._database.read(lambda one: read_decisions(one, rollout_id))

    async def start(self, row: RolloutRow, why: RolloutDecision, entry: AuditEntry) -> str | None:
        """Add a rollout; the name of the one that stands in its way, None where none does."""
        return await self._database.write(lambda one: add_rollout(one, row, why, entry), durable=True)

    async def change(self, row: RolloutRow, why: RolloutDecision, entry: AuditEntry) -> bool:
        """Write the next revision; False where somebody else has changed it meanwhile."""
        return await self._database.write(lambda one: change_rollout(one, row, why, entry), durable=True)

    async def record(
        self, rollout_id: str, records: Sequence[RolloutRecord], rules: RecordingRules, now: float
    ) -> None:
        """Keep records of one rollout; those of a rollout that does not exist are left out."""
        await self._database.write(lambda one: record_requests(one, rollout_id, records, rules, now))

    async def give_up(self, rollout_id: str, before: float) -> None:
        """Count what came before and has not ended as failed."""
        if await self._database.read(lambda one: any_lost(one, rollout_id, before)):
            await self._database.write(lambda one: give_up(one, rollout_id, before))

    async def stage_sums(self, rollout_id: str, stage: int) -> StageSums:
        """What is known of one stage, at one moment."""
        return await self._database.read(
            lambda one: StageSums(
                *read_arms(one, rollout_id, stage),
                read_outcomes(one, rollout_id, stage),
                read_values(one, rollout_id, stage),
            )
        )

    async def curves(self, rollout_id: str) -> list[Point]:
        """Both arms by blocks of requests, in their order."""
        return await self._database.read(lambda one: read_curves(one, rollout_id))

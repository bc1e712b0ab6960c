"""A rollout whose clock and outcomes a test gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.messages.rollout import Begun, Ended, Rated, RolloutRecord
from multi_agent.application.rollouts.changes import Decider, start_rollout
from multi_agent.application.rollouts.desk import RolloutDesk
from multi_agent.rollout.assignment import assigned, key_hash
from multi_agent.rollout.plan import RolloutPlan
from orchestrator.client.rollouts import RolloutStore
from orchestrator.core.audit.entries import Via
from orchestrator.storage.sql.database import Database

ANN = Decider("ann", Via.COMMAND_LINE, "")
HOUR = 3_600.0


@dataclass
class Days:
    """Requests come one a second; every twentieth fails in either arm."""

    database: Database
    now: float = 1_000_000.0
    number: int = 0
    store: RolloutStore = field(init=False)
    desk: RolloutDesk = field(init=False)

    def __post_init__(self) -> None:
        self.store = RolloutStore(self.database)
        self.desk = RolloutDesk(self.store, lambda: self.now)

    async def start(self, name: str = "trial", plan: Mapping[str, object] | None = None) -> None:
        await start_rollout(self.store, name, RolloutPlan.model_validate(plan or {}), ANN, self.now)
        await self.desk.look()

    async def requests(self, count: int, ours: bool | None = None, **more: float) -> None:
        """As many requests, recorded together; `ours` is how the multi-agent arm ends them all."""
        flag = self.desk.flag
        assert flag is not None
        records: list[RolloutRecord] = []
        for _ in range(count):
            self.number += 1
            self.now += 1
            name, hashed = f"r{self.number}", key_hash(flag.rollout, f"key {self.number}")
            arm, stage = assigned(flag, hashed), {"stage": flag.stage, "percent": flag.percent}
            of = {"rollout": flag.rollout, "request_id": name}
            begun = {"key_hash": hashed, **stage, "shadow": flag.shadow, "assigned": arm}
            records.append(Begun.model_validate(of | begun))
            well = self.number % 20 != 0
            if arm != "multi_agent":
                ended = {"arm": "legacy", "success": well, "seconds": 2.0, "cost_usd": 0.1}
                records.append(Ended.model_validate(of | ended))
            if arm != "legacy":
                ended = {"arm": "multi_agent", "success": well if ours is None else ours}
                said = {"seconds": 3.0, "cost_usd": 0.4, "findings": 0, "iterations": 2} | more
                records.append(Ended.model_validate(of | ended | said))
        await self.desk.take(records)

    async def rate(self, rating: int, *names: str) -> None:
        await self.desk.take([Rated(rollout="trial", request_id=name, rating=rating) for name in names])

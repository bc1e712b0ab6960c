"""What serves programs: the flag from memory, records into the database, and the gate that looks on."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from contracts.base.errors import StoreUnavailable
from contracts.messages.rollout import RolloutRecord
from multi_agent.application.rollouts.changes import advance
from multi_agent.application.rollouts.standing import flag_of
from multi_agent.rollout.assignment import OFF, Flag
from multi_agent.rollout.plan import RolloutPlan
from orchestrator.client.rollouts import RecordingRules, RolloutStore

LOOK_SECONDS: Final = 0.2
"""Between two looks at the state of the rollout."""
JUDGE_SECONDS: Final = 0.25
"""Between two looks at its figures, at least, and five times as long as one took."""

_log = structlog.get_logger(__name__)


class RolloutDesk:
    """One for a process that serves programs; several may serve the same database."""

    def __init__(self, store: RolloutStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock
        self._flag = OFF
        self._known = self._away = False

    @property
    def flag(self) -> Flag | None:
        """As last read of the database; None before that."""
        return self._flag if self._known else None

    async def take(self, records: Sequence[RolloutRecord]) -> None:
        """Keep records. Raises StoreUnavailable, and then they may be given again."""
        by_rollout: dict[str, list[RolloutRecord]] = defaultdict(list)
        for record in records:
            by_rollout[record.rollout].append(record)
        for rollout_id, some in by_rollout.items():
            row = await self._store.find(rollout_id)
            if row is None:
                _log.warning("rollout_unknown", rollout=rollout_id, records=len(some))
                continue
            plan = RolloutPlan.model_validate_json(row.plan)
            rules = RecordingRules(plan.outcomes_per_key, plan.limits.cost_usd)
            await self._store.record(rollout_id, some, rules, self._clock())

    async def look(self) -> None:
        """Read the flag anew. Raises StoreUnavailable."""
        row = await self._store.find()
        self._flag, self._known = (flag_of(row) if row else OFF), True

    async def judge(self) -> None:
        """Do what follows by the figures. Raises StoreUnavailable."""
        standing = await advance(self._store, self._clock())
        if standing is not None:
            decision = standing.decision
            _log.info(
                "rollout_decided", rollout=standing.row.rollout_id, action=decision.action, why=decision.why
            )
            await self.look()

    async def run(self) -> None:
        """Look and judge until cancelled; what was known last stands while the database is away."""
        judging = asyncio.create_task(self._judge_on())
        try:
            while True:
                await self._safely(self.look)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            judging.cancel()

    async def _judge_on(self) -> None:
        while True:
            begun = time.monotonic()
            await self._safely(self.judge)
            await asyncio.sleep(max(JUDGE_SECONDS, 5 * (time.monotonic() - begun)))

    async def _safely(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreUnavailable as error:
            if not self._away:
                _log.warning("rollout_database_away", error=str(error)[:200])
            self._away = True
        else:
            self._away = False

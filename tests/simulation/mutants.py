"""Protective lines switched off, to see that the simulation notices. Nowhere else is anything patched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import orchestrator.attempts
from orchestrator.arrivals import Arrival
from orchestrator.handlers import Handlers
from orchestrator.keeper import Keeper
from orchestrator.owner import Owner
from orchestrator.recovery import Recovery
from orchestrator.shares import Share
from orchestrator.state import TaskState, TaskStatus, Workflow


def _no_fence(workflow: Workflow, task_id: str, dispatch_id: str) -> TaskState | str:
    task = workflow.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.DISPATCHED:
        return "no such dispatch"
    return task


async def _publish_first(
    self: Owner, share: Share, inbox: asyncio.Queue[Arrival], handlers: Handlers, keeper: Keeper
) -> None:
    items = await self._gather(inbox, None)
    handlers.begin(self.clock.wall(), self.clock.monotonic())
    for item in items:
        await handlers.take(item)
    await handlers.tick()
    batch, effects = handlers.engine.flush(handlers.now)
    await handlers.publish(effects)
    if not batch.empty:
        batch.settled = handlers.publisher.take_settled()
        await self.store.commit(batch, share)
    workflows = handlers.engine.workflows
    keeper.add(effects.refs, [workflows[name] for name in effects.merges if name in workflows])
    handlers.engine.drop_ended(effects.changed)


async def _look_at_nothing(self: Recovery, dispatch_ids: Iterable[str]) -> bool:
    return True


MUTANTS: dict[str, list[tuple[Any, str, Any]]] = {
    "no check of the dispatch id": [(orchestrator.attempts, "_current", _no_fence)],
    "publish before commit": [(Owner, "_step", _publish_first)],
    "no look at the outbox after a start, and no sweep": [(Recovery, "look", _look_at_nothing)],
}

"""Protective lines switched off, to see that the simulation notices. Nowhere else is anything patched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orchestrator.attempts
import orchestrator.decide
import orchestrator.workers
from contracts.channels import Channels
from contracts.errors import BusUnavailable
from contracts.events import TaskError
from orchestrator.arrivals import Arrival
from orchestrator.batch import Batch
from orchestrator.decision import Decision
from orchestrator.engine import Effects
from orchestrator.handlers import Handlers
from orchestrator.inputs import Lost
from orchestrator.keeper import Keeper
from orchestrator.owner import Owner
from orchestrator.recovery import Recovery
from orchestrator.shares import Share
from orchestrator.state import TaskState, TaskStatus, Workflow

_lose = orchestrator.attempts.lose


def _no_fence(workflow: Workflow, task_id: str, dispatch_id: str) -> TaskState | str:
    task = workflow.tasks.get(task_id)
    if task is None or task.status is not TaskStatus.DISPATCHED:
        return "no such dispatch"
    return task


async def _publish_first(
    self: Owner, share: Share, inbox: asyncio.Queue[Arrival], handlers: Handlers, keeper: Keeper, *_: object
) -> None:
    batch, effects = await _decided(self, inbox, handlers)
    await handlers.publish(effects)
    await _committed(self, share, handlers, batch)
    _follow(handlers, keeper, effects)


async def _acknowledge_first(
    self: Owner, share: Share, inbox: asyncio.Queue[Arrival], handlers: Handlers, keeper: Keeper, *_: object
) -> None:
    batch, effects = await _decided(self, inbox, handlers)
    with suppress(BusUnavailable):
        await self.bus.ack(Channels.OWNERS_GROUP, handlers._acks)
    await _committed(self, share, handlers, batch)
    await handlers.publish(effects)
    _follow(handlers, keeper, effects)


async def _decided(owner: Owner, inbox: asyncio.Queue[Arrival], handlers: Handlers) -> tuple[Batch, Effects]:
    """The parts of Owner._step, for steps in another order."""
    items = await owner._gather(inbox, None)
    handlers.begin(owner.clock.wall(), owner.clock.monotonic())
    for item in items:
        await handlers.take(item)
    await handlers.tick()
    return handlers.engine.flush(handlers.now)


async def _committed(owner: Owner, share: Share, handlers: Handlers, batch: Batch) -> None:
    if not batch.empty:
        batch.settled = handlers.publisher.take_settled()
        await owner.store.commit(batch, share)


def _follow(handlers: Handlers, keeper: Keeper, effects: Effects) -> None:
    workflows = handlers.engine.workflows
    keeper.add(effects.refs, [workflows[name] for name in effects.merges if name in workflows])
    handlers.engine.drop_ended(effects.changed)


async def _look_at_nothing(self: Recovery, dispatch_ids: Iterable[str]) -> bool:
    return True


def _lose_uncounted(workflow: Workflow, given: Lost, now: float) -> Decision:
    return _lose(workflow, replace(given, alone=False), now)


MUTANTS: dict[str, list[tuple[Any, str, Any]]] = {
    "no check of the dispatch id": [(orchestrator.attempts, "_current", _no_fence)],
    "publish before commit": [(Owner, "_step", _publish_first)],
    "acknowledge before commit": [(Owner, "_step", _acknowledge_first)],
    "no look at the outbox after a start, and no sweep": [(Recovery, "look", _look_at_nothing)],
    "no crash is counted": [(orchestrator.decide, "lose", _lose_uncounted)],
    "whoever was there is to blame": [(orchestrator.workers, "one_to_blame", lambda *_: True)],
    "an outage is a failure": [(TaskError, "outage", property(lambda _: False))],
}

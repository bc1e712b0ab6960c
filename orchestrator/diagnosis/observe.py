"""Observes one workflow and its surroundings, for `explain`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from contracts.base.errors import DecodeError
from contracts.messages.channels import Channels
from contracts.messages.events import decode
from contracts.messages.payloads import Heartbeat
from contracts.ports.bus import SubscribePort
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.diagnosis.explain import Holder, Observations
from orchestrator.storage.snapshots import Pulse, Surroundings, read_pulse, read_surroundings
from orchestrator.storage.sql.database import Database

POLL_SECONDS = 0.1


async def observe_surroundings(
    database: Database,
    bus: SubscribePort | None,
    workflow_id: str,
    *,
    listen_seconds: float,
    served: bool | None = None,
) -> tuple[Workflow | None, Observations]:
    """Return the workflow, None while it is only queued, and what was observed around it.

    Listens for at most `listen_seconds` to orchestrators that renew and to workers that name what they hold;
    a lease is long enough for both. Without a bus, no worker is heard. Who knows that an orchestrator lives
    says so with `served`; when none does, nobody is listened to. Raises StoreUnavailable.
    """
    before = await database.read(read_pulse)
    surroundings = await database.read(lambda connection: read_surroundings(connection, workflow_id))
    workflow = surroundings.workflows.get(workflow_id)
    observations = _observations(surroundings)
    if workflow is not None and workflow.header.status.terminal and not observations.commands:
        return workflow, observations
    if served is False:
        return workflow, replace(observations, orchestrator_alive=False)
    wanted = {
        task.dispatch_id
        for task in (workflow.tasks.values() if workflow else ())
        if task.status is TaskStatus.DISPATCHED and task.dispatch_id
    }
    holders: dict[str, Holder] = {}
    listening = asyncio.create_task(_listen(bus, wanted, holders) if bus and wanted else _nothing())
    alive = await _renews(database, before, listen_seconds)
    if not listening.done() and listen_seconds > 0:
        await asyncio.wait([listening], timeout=listen_seconds)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return workflow, replace(observations, holders=holders, orchestrator_alive=alive)


def _observations(found: Surroundings) -> Observations:
    """What the database alone says."""
    return Observations(
        now=time.time(),
        slots=found.slots,
        out=_count(found.workflows.values(), TaskStatus.DISPATCHED),
        ready=_count(found.workflows.values(), TaskStatus.READY),
        delays=found.delays,
        commands=found.commands,
    )


def _count(workflows: Iterable[Workflow], status: TaskStatus) -> Counter[str]:
    """The tasks with this status, by request stream."""
    tasks = (task for workflow in workflows for task in workflow.tasks.values())
    return Counter(
        Channels.requests(task.item.agent_role, task.item.required_tag)
        for task in tasks
        if task.status is status
    )


async def _nothing() -> None:
    """Stand in for listening where there is nothing to listen for."""


async def _listen(bus: SubscribePort, wanted: set[str], holders: dict[str, Holder]) -> None:
    """Add the holder of each dispatch that a heartbeat names, until every wanted one has a holder."""
    subscription = bus.subscribe([Channels.HEARTBEATS])
    try:
        async for _channel, payload in subscription:
            with suppress(DecodeError):
                beat = decode(payload).data
                if isinstance(beat, Heartbeat):
                    for one in beat.executions:
                        holders[one.dispatch_id] = Holder(beat.worker_id, one.started)
            if wanted <= holders.keys():
                return
    finally:
        await subscription.close()


async def orchestrator_alive(database: Database, seconds: float) -> bool:
    """Whether any orchestrator renews its lease within so many seconds; at once False where none is known."""
    before = await database.read(read_pulse)
    return before.registered and await _renews(database, before, seconds)


async def _renews(database: Database, before: Pulse, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while True:
        if (await database.read(read_pulse)).renewals > before.renewals:
            return True
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(POLL_SECONDS)

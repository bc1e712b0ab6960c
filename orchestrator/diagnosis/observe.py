"""Reads what `why` explains: one workflow and what is around it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select

from contracts.base.errors import DecodeError
from contracts.messages.channels import Channels
from contracts.messages.events import Heartbeat, decode
from contracts.messages.journal import TaskDelayed, TaskLost, TaskRetrying, kind_of
from contracts.ports.bus import SubscribePort
from orchestrator.core.state import TaskStatus, Workflow
from orchestrator.diagnosis.explain import Holder, Observations
from orchestrator.storage import tables as t
from orchestrator.storage.loading import read_workflows
from orchestrator.storage.sql.database import Database

POLL_SECONDS = 0.1
_DELAYS = [kind_of(event) for event in (TaskRetrying, TaskDelayed, TaskLost)]


async def observe_surroundings(
    database: Database, bus: SubscribePort | None, workflow_id: str, *, listen_seconds: float
) -> tuple[Workflow | None, Observations]:
    """The workflow, None when it is only queued, and its situation.

    Listens for at most `listen_seconds` to orchestrators that renew and to workers that name what they hold;
    a lease is long enough for both.
    """
    pulse, known = await database.read(_pulse)
    workflow, situation = await database.read(lambda connection: _read(connection, workflow_id))
    if workflow is not None and workflow.header.status.terminal and not situation.commands:
        return workflow, situation
    wanted = {
        task.dispatch_id
        for task in (workflow.tasks.values() if workflow else ())
        if task.status is TaskStatus.DISPATCHED and task.dispatch_id
    }
    holders: dict[str, Holder] = {}
    listening = asyncio.create_task(_listen(bus, wanted, holders) if bus and wanted else _nothing())
    alive = await _alive(database, pulse, known, listen_seconds)
    if not listening.done() and listen_seconds > 0:
        await asyncio.wait([listening], timeout=listen_seconds)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return workflow, replace(situation, holders=holders, orchestrator_alive=alive)


async def _nothing() -> None:
    """Nobody to listen to."""


async def _listen(bus: SubscribePort, wanted: set[str], holders: dict[str, Holder]) -> None:
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


async def _alive(database: Database, pulse: int, known: bool, seconds: float) -> bool | None:
    """True once renewals move; after that long False, or None where orchestrators do not register."""
    until = time.monotonic() + seconds
    while True:
        now, _ = await database.read(_pulse)
        if now > pulse:
            return True
        if time.monotonic() >= until:
            return False if known else None
        await asyncio.sleep(POLL_SECONDS)


def _pulse(connection: Connection) -> tuple[int, bool]:
    shards = connection.execute(select(func.sum(t.shards.c.renewals))).scalar() or 0
    row = connection.execute(select(func.sum(t.orchestrators.c.renewals), func.count())).one()
    return int(shards) + int(row[0] or 0), row[1] > 0


def _read(connection: Connection, workflow_id: str) -> tuple[Workflow | None, Observations]:
    moving = _moving(connection, workflow_id)
    workflow = moving.get(workflow_id)
    c = t.commands.c
    waiting = select(c.kind, c.created_at).where(c.workflow_id == workflow_id, c.applied_at.is_(None))
    commands = tuple((kind, at) for kind, at in connection.execute(waiting.order_by(c.created_at)))
    situation = Observations(
        now=time.time(),
        slots=_slots(connection),
        delays=_delays(connection, workflow_id),
        commands=commands,
        out=_count(moving.values(), TaskStatus.DISPATCHED),
        ready=_count(moving.values(), TaskStatus.READY),
    )
    return workflow, situation


def _slots(connection: Connection) -> dict[str, int]:
    query = select(t.workers.c.streams, t.workers.c.slots).where(t.workers.c.left_at.is_(None))
    slots: Counter[str] = Counter()
    for streams, count in connection.execute(query):
        slots.update(dict.fromkeys(streams, count))
    return slots


def _moving(connection: Connection, asked: str) -> dict[str, Workflow]:
    """The workflow that is asked about, and all in which a task is out: about a window of them at most."""
    out = select(t.tasks.c.workflow_id).where(t.tasks.c.status == TaskStatus.DISPATCHED.value)
    names = {asked, *connection.execute(out).scalars()}
    return {one.header.workflow_id: one for one in read_workflows(connection, sorted(names))}


def _count(workflows: Iterable[Workflow], status: TaskStatus) -> Counter[str]:
    """Their tasks in this state, per request stream."""
    tasks = (task for workflow in workflows for task in workflow.tasks.values())
    return Counter(
        Channels.requests(task.item.agent_role, task.item.required_tag)
        for task in tasks
        if task.status is status
    )


def _delays(connection: Connection, workflow_id: str) -> dict[str, tuple[str, dict[str, Any]]]:
    j = t.journal.c
    query = select(j.task_id, j.kind, j.data).where(j.workflow_id == workflow_id, j.kind.in_(_DELAYS))
    return {task_id: (kind, data) for task_id, kind, data in connection.execute(query.order_by(j.sequence))}

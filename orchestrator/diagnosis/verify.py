"""Checks the promises from facts: the database, streams, heartbeats and Git. Changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection, func, select

from contracts.base.errors import ArtifactError, DecodeError
from contracts.messages.channels import SHARDS, Channels
from contracts.messages.events import Heartbeat, TaskOutcome, decode
from contracts.messages.journal import TaskDispatched, TaskSucceeded, kind_of
from contracts.ports.bus import InspectPort, SubscribePort, Subscription
from orchestrator.core.state import TaskStatus, WorkflowStatus
from orchestrator.diagnosis.invariants import (
    Facts,
    Refs,
    Sightings,
    Violation,
    check_git,
    check_hands,
    check_journal,
    check_state,
    check_stuck,
    check_unmoved,
    may_be_stuck,
)
from orchestrator.scheduling.batch import OutboxKind
from orchestrator.scheduling.messages import request_stream
from orchestrator.storage import tables as t
from orchestrator.storage.loading import read_workflows
from orchestrator.storage.outbox import read_outbox
from orchestrator.storage.sql.database import Database

__all__ = ["Evidence", "VerificationReport", "Violation", "examine", "verify_invariants"]


class WatchedBus(InspectPort, SubscribePort, Protocol):
    """Streams to look at, heartbeats to hear."""


class Evidence(Protocol):
    """What the check needs of the Git store."""

    async def accepted(self) -> dict[tuple[str, str], str]:
        """The commit of each branch of an outcome, by workflow and task."""

    async def lacking(self, commit: str, parts: Sequence[str]) -> list[str]:
        """Commits that `parts` hold and `commit` does not. Raises ArtifactError for a missing one."""

    async def verify(self) -> list[str]:
        """Problems of the store itself."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """How many things were checked for each promise, and what was found wrong."""

    checked: dict[str, int]
    violations: list[Violation]


async def verify_invariants(
    database: Database, bus: WatchedBus | None, artifacts: Evidence | None, *, listen_seconds: float
) -> list[Violation]:
    """What is wrong, [] when every promise holds; see `examine`."""
    return (await examine(database, bus, artifacts, listen_seconds=listen_seconds)).violations


async def examine(
    database: Database, bus: WatchedBus | None, artifacts: Evidence | None, *, listen_seconds: float
) -> VerificationReport:
    """Check every promise, while everything runs.

    What looks wrong is looked at again after `listen_seconds`, because the system moves; only what was wrong
    both times is reported. Make it longer than a lease, or a heartbeat and a repair may be missed. Without a
    bus, tasks in the hands of workers are not checked; without artifacts, Git is not. Raises BusUnavailable
    and StoreUnavailable.
    """
    ears = await _Ears.open(bus)
    try:
        look = _Look(database, bus, artifacts)
        before, _, first = await look.take({})
        doubts = first or (bus and any(may_be_stuck(before))) or (artifacts and before.to_move)
        if not doubts:
            return VerificationReport(_counts(before), [])
        await asyncio.sleep(listen_seconds)
        after, sightings, second = await look.take(ears.heard)
        doubtful = {(one.promise, one.workflow_id, one.task_id) for one in first}
        kept = [one for one in second if (one.promise, one.workflow_id, one.task_id) in doubtful]
        kept += check_stuck(before, after, sightings)
        if artifacts is not None:
            kept += check_unmoved(before, after)
        return VerificationReport(_counts(after), kept)
    finally:
        await ears.close()


@dataclass(slots=True)
class _Look:
    """One look at everything. Facts come first: what they say went out is then looked for."""

    database: Database
    bus: WatchedBus | None
    artifacts: Evidence | None

    async def take(self, heard: dict[str, list[Heartbeat]]) -> tuple[Facts, Sightings, list[Violation]]:
        now = time.time()
        facts = await self.database.read(lambda connection: read_facts(connection, now))
        sightings = Sightings(frozenset(), Counter(), {})
        found = [*check_state(facts), *check_journal(facts)]
        if self.bus is not None:
            sightings = await _sightings(self.bus, facts, heard)
            found += check_hands(facts, sightings)
        if self.artifacts is not None:
            found += check_git(facts, await _refs(self.artifacts, facts))
        return facts, sightings, found


def read_facts(connection: Connection, now: float) -> Facts:
    """Everything the database says, in the snapshot of the caller's transaction, taken at `now`."""
    names = connection.execute(select(t.workflows.c.workflow_id)).scalars().all()
    workflows = read_workflows(connection, names)
    succeeded, dispatched = _read_journal(connection)
    outbox = [entry for parcel in read_outbox(connection) for entry in parcel]
    renewals = sum(
        connection.execute(select(func.sum(column))).scalar() or 0
        for column in (t.shards.c.renewals, t.orchestrators.c.renewals)
    )
    return Facts(
        at=now,
        workflows={one.header.workflow_id: one for one in workflows},
        succeeded=succeeded,
        dispatched=dispatched,
        to_publish=frozenset(entry.entry_id for entry in outbox if entry.kind is OutboxKind.DISPATCH),
        to_move=frozenset(
            (entry.workflow_id, entry.task_id) for entry in outbox if entry.kind is OutboxKind.REF
        ),
        renewals=int(renewals),
    )


def _read_journal(
    connection: Connection,
) -> tuple[dict[tuple[str, str], list[int]], dict[tuple[str, str], int]]:
    """Per task where the journal has it succeed, and where it was dispatched first."""
    j = t.journal.c
    succeeded: dict[tuple[str, str], list[int]] = {}
    dispatched: dict[tuple[str, str], int] = {}
    kinds = (kind_of(TaskSucceeded), kind_of(TaskDispatched))
    columns = (j.workflow_id, j.task_id, j.kind, j.sequence)
    entries = select(*columns).where(j.kind.in_(kinds), j.task_id.is_not(None)).order_by(j.sequence)
    for workflow_id, task_id, kind, sequence in connection.execute(entries):
        if kind == kind_of(TaskSucceeded):
            succeeded.setdefault((workflow_id, task_id), []).append(sequence)
        else:
            dispatched.setdefault((workflow_id, task_id), sequence)
    return succeeded, dispatched


def _counts(facts: Facts) -> dict[str, int]:
    succeeded = [task for _, task in facts.tasks if task.status is TaskStatus.SUCCEEDED]
    return {
        "I1": sum(1 for _ in facts.open_tasks),
        "I2": sum(1 for _ in facts.tasks),
        "I3": sum(1 for task in succeeded if task.commit),
        "I6": sum(len(task.dependencies) for _, task in facts.tasks),
    }


async def _sightings(bus: InspectPort, facts: Facts, heard: dict[str, list[Heartbeat]]) -> Sightings:
    """Requests are looked at before results: an outcome is published before its request is removed."""
    out = {request_stream(task) for _, task in facts.open_tasks}
    requests: Counter[str] = Counter()
    seen: set[str] = set()
    for stream in sorted(out):
        names = await _dispatches(bus, stream)
        requests[stream] = len(names)
        seen.update(names)
    if any(task.dispatch_id not in seen for _, task in facts.open_tasks if task.dispatch_id):
        for shard in range(SHARDS):
            seen.update(await _dispatches(bus, Channels.results(shard)))
    return Sightings(frozenset(seen), requests, heard)


async def _dispatches(bus: InspectPort, stream: str) -> list[str]:
    names = []
    for delivery in await bus.entries(stream):
        with suppress(DecodeError):
            event = decode(delivery.payload)
            names.append(event.data.dispatch_id if isinstance(event.data, TaskOutcome) else event.id)
    return names


async def _refs(artifacts: Evidence, facts: Facts) -> Refs:
    incomplete: dict[str, str] = {}
    for workflow in facts.workflows.values():
        header = workflow.header
        if header.status is WorkflowStatus.COMPLETED and header.result_commit:
            heads = list(dict.fromkeys(head for task in workflow.sinks() for head in task.heads))
            try:
                lacking = await artifacts.lacking(header.result_commit, heads)
            except ArtifactError as error:
                incomplete[header.workflow_id] = str(error)
                continue
            if lacking:
                incomplete[header.workflow_id] = f"the result does not hold {', '.join(lacking[:3])}"
    return Refs(await artifacts.accepted(), incomplete, tuple(await artifacts.verify()))


@dataclass(slots=True)
class _Ears:
    """Hears heartbeats from the moment it is open."""

    heard: dict[str, list[Heartbeat]] = field(default_factory=dict)
    _subscription: Subscription | None = None
    _task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, bus: WatchedBus | None) -> _Ears:
        ears = cls()
        if bus is not None:
            # A subscription waits for a bus that is away; whoever asks wants to know.
            await bus.depth(Channels.DEAD_LETTERS)
            ears._subscription = bus.subscribe([Channels.HEARTBEATS])
            ears._task = asyncio.create_task(ears._listen(ears._subscription))
            await ears._subscription.ready()
        return ears

    async def _listen(self, messages: Subscription) -> None:
        async for _channel, payload in messages:
            with suppress(DecodeError):
                data = decode(payload).data
                if isinstance(data, Heartbeat):
                    self.heard.setdefault(data.worker_id, []).append(data)

    async def close(self) -> None:
        if self._task is not None and self._subscription is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            await self._subscription.close()

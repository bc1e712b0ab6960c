"""Verifies the invariants (I1, I2, ... of ARCHITECTURE.md) from the database, streams, heartbeats and Git.

Changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from contracts.base.errors import ArtifactError, DecodeError
from contracts.messages.channels import SHARDS, Channels
from contracts.messages.events import decode
from contracts.messages.payloads import Heartbeat, TaskOutcome
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
from orchestrator.storage.snapshots import Snapshot, read_snapshot
from orchestrator.storage.sql.database import Database

__all__ = ["InspectedStore", "VerificationReport", "Violation", "examine", "verify_invariants"]


class WatchedBus(InspectPort, SubscribePort, Protocol):
    """Streams to look at, heartbeats to hear."""


class InspectedStore(Protocol):
    """The part of the artifact store that is verified."""

    async def accepted(self) -> dict[tuple[str, str], str]:
        """The commit of each branch of an accepted outcome, by (workflow id, task id)."""

    async def misplaced(self) -> dict[tuple[str, str], str]:
        """What is wrong with the metadata refs of accepted outcomes, by (workflow id, task id)."""

    async def lacking(self, commit: str, parts: Sequence[str]) -> list[str]:
        """The commits in the history of `parts` that are not in that of `commit`.

        Raises ArtifactError when one of them does not exist.
        """

    async def verify(self) -> list[str]:
        """Problems of the store itself, one line each."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What was checked, and what was found wrong."""

    checked: dict[str, int]
    """How many things were checked, by invariant."""
    violations: list[Violation]


async def verify_invariants(
    database: Database, bus: WatchedBus | None, artifacts: InspectedStore | None, *, listen_seconds: float
) -> list[Violation]:
    """The violations that `examine` finds."""
    return (await examine(database, bus, artifacts, listen_seconds=listen_seconds)).violations


async def examine(
    database: Database, bus: WatchedBus | None, artifacts: InspectedStore | None, *, listen_seconds: float
) -> VerificationReport:
    """Check every invariant, while everything runs.

    The system moves, so whatever looks wrong is looked at again after `listen_seconds`, and only what is
    wrong both times is reported. A value shorter than a lease may miss a heartbeat or a repair. Without a
    bus, dispatched tasks are not checked; without artifacts, Git is not. Raises BusUnavailable and
    StoreUnavailable.
    """
    heartbeats = await _HeartbeatListener.open(bus)
    try:
        inspection = _Inspection(database, bus, artifacts)
        before, _, first = await inspection.run({})
        doubts = first or (bus and any(may_be_stuck(before))) or (artifacts and before.to_move)
        if not doubts:
            return VerificationReport(_counts(before), [])
        await asyncio.sleep(listen_seconds)
        after, sightings, second = await inspection.run(heartbeats.heard)
        doubtful = {(one.promise, one.workflow_id, one.task_id) for one in first}
        kept = [one for one in second if (one.promise, one.workflow_id, one.task_id) in doubtful]
        kept += check_stuck(before, after, sightings)
        if artifacts is not None:
            kept += check_unmoved(before, after)
        return VerificationReport(_counts(after), kept)
    finally:
        await heartbeats.close()


@dataclass(slots=True)
class _Inspection:
    """Inspects everything once. Facts are read first, because what they say went out is then looked for."""

    database: Database
    bus: WatchedBus | None
    artifacts: InspectedStore | None

    async def run(self, heard: dict[str, list[Heartbeat]]) -> tuple[Facts, Sightings, list[Violation]]:
        now = time.time()
        facts = _facts(await self.database.read(read_snapshot), now)
        sightings = Sightings(frozenset(), Counter(), {})
        found = [*check_state(facts), *check_journal(facts)]
        if self.bus is not None:
            sightings = await _sightings(self.bus, facts, heard)
            found += check_hands(facts, sightings)
        if self.artifacts is not None:
            found += check_git(facts, await _refs(self.artifacts, facts))
        return facts, sightings, found


def _facts(found: Snapshot, now: float) -> Facts:
    return Facts(
        at=now,
        workflows=found.workflows,
        succeeded=found.succeeded,
        dispatched=found.dispatched,
        to_publish=frozenset(entry.entry_id for entry in found.outbox if entry.kind is OutboxKind.DISPATCH),
        to_move=frozenset(
            (entry.workflow_id, entry.task_id)
            for entry in found.outbox
            if entry.kind is OutboxKind.REF and entry.commit
        ),
        renewals=found.renewals,
    )


def _counts(facts: Facts) -> dict[str, int]:
    succeeded = [task for _, task in facts.tasks if task.status is TaskStatus.SUCCEEDED]
    return {
        "I1": sum(1 for _ in facts.open_tasks),
        "I2": sum(1 for _ in facts.tasks),
        "I3": sum(1 for task in succeeded if task.commit),
        "I6": sum(len(task.dependencies) for _, task in facts.tasks),
    }


async def _sightings(bus: InspectPort, facts: Facts, heard: dict[str, list[Heartbeat]]) -> Sightings:
    """Look for the dispatches of open tasks on the streams.

    Requests are read before results: an outcome is published before its request is removed.
    """
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


async def _refs(artifacts: InspectedStore, facts: Facts) -> Refs:
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
    return Refs(
        await artifacts.accepted(), await artifacts.misplaced(), incomplete, tuple(await artifacts.verify())
    )


@dataclass(slots=True)
class _HeartbeatListener:
    """Collects heartbeats from the moment it is open."""

    heard: dict[str, list[Heartbeat]] = field(default_factory=dict)
    """By worker, oldest first."""
    _subscription: Subscription | None = None
    _task: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, bus: WatchedBus | None) -> _HeartbeatListener:
        listener = cls()
        if bus is not None:
            # A subscription waits for a bus that is away; the caller gets BusUnavailable instead.
            await bus.depth(Channels.DEAD_LETTERS)
            listener._subscription = bus.subscribe([Channels.HEARTBEATS])
            listener._task = asyncio.create_task(listener._listen(listener._subscription))
            await listener._subscription.ready()
        return listener

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

"""Dead letters: how they are made, and how they are stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from contracts.ports.bus import Delivery, Outgoing
from contracts.runtime.dead_letter import MAX_KEPT_BYTES
from orchestrator.core.state import TaskState
from orchestrator.scheduling.batch import DeadLetter


def unreadable(delivery: Delivery, reason: str) -> DeadLetter:
    """The dead letter of a delivery that could not be used. Each entry of a stream has its own."""
    digest = hashlib.sha256(delivery.payload).hexdigest()[:32]
    origin = f"{delivery.stream[-100:]}/{delivery.entry_id}/{digest}"
    kept = delivery.payload[:MAX_KEPT_BYTES]
    if len(kept) < len(delivery.payload):
        reason = f"{reason} (the first {len(kept)} of {len(delivery.payload)} bytes are kept)"
    return DeadLetter(delivery.stream, reason, kept, origin=origin)


def dead_lettered_task(dispatch: Outgoing, workflow_id: str, task: TaskState, logs: str | None) -> DeadLetter:
    """The dead letter of a task that took its workers down, with its last dispatch."""
    why = task.error.message if task.error else "unknown"
    reason = f"{task.crashes} workers died while they ran this task alone; the last: {why}"
    origin = f"{workflow_id}/{task.task_id}/{task.attempt}"
    return DeadLetter(dispatch.stream, reason, dispatch.payload, workflow_id, task.task_id, origin, logs)


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter as stored."""

    dead_letter_id: int
    at: float
    """Seconds since 1970."""
    stream: str
    workflow_id: str | None
    task_id: str | None
    """The dead-lettered task, None for a message."""
    reason: str
    raw: bytes
    logs: str | None
    resolved_at: float | None
    """Seconds since 1970, None while it is open."""
    resolution: str | None
    """`retried` or `discarded`."""

    @property
    def shard_key(self) -> str:
        """The name whose shard gets the commands about it: the workflow's, or any for a message."""
        return self.workflow_id or f"dead-letter-{self.dead_letter_id}"

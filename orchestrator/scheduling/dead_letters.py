"""Dead letters: how they are made, and how they are stored."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from contracts.ports.bus import Delivery, Outgoing
from orchestrator.core.state import TaskState
from orchestrator.scheduling.batch import DeadLetter


def unreadable(delivery: Delivery, reason: str) -> DeadLetter:
    """A delivery that could not be used. The same bytes in another entry are another letter."""
    digest = hashlib.sha256(delivery.payload).hexdigest()[:32]
    origin = f"{delivery.stream[-100:]}/{delivery.entry_id}/{digest}"
    return DeadLetter(delivery.stream, reason, delivery.payload, origin=origin)


def given_up(dispatch: Outgoing, workflow_id: str, task: TaskState, logs: str | None) -> DeadLetter:
    """A task that took its workers down, with its last dispatch."""
    why = task.error.message if task.error else "unknown"
    reason = f"{task.crashes} workers died while they ran this task alone; the last: {why}"
    origin = f"{workflow_id}/{task.task_id}/{task.attempt}"
    return DeadLetter(dispatch.stream, reason, dispatch.payload, workflow_id, task.task_id, origin, logs)


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A dead letter. `at` and `resolved_at` are in seconds since 1970; task letters name their task."""

    dead_letter_id: int
    at: float
    stream: str
    workflow_id: str | None
    task_id: str | None
    reason: str
    raw: bytes
    logs: str | None
    resolved_at: float | None
    resolution: str | None

    @property
    def shard_key(self) -> str:
        """Whose owner applies commands about it: the workflow's; any name will do for a mere message."""
        return self.workflow_id or f"dead-letter-{self.dead_letter_id}"

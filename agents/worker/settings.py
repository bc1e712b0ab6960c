"""What a worker is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agents.worker.metrics import WorkerMetrics
from contracts.base.identifiers import new_id


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of one worker; times in seconds unless the name says otherwise.

    worker_id: unique for the life of the process, so that nobody's pending entries are mistaken for its own.
    roles: the roles to serve out of those that have an agent; () serves all.
    slots: executions at once.
    grace_seconds: how long running executions may go on after `stop`; at most 8, so that all is over in 10.
    metrics: shared by the workers of a process; None counts nothing.
    """

    worker_id: str
    host: str
    roles: tuple[str, ...] = ()
    slots: int = 2
    heartbeat_seconds: float = 2.0
    grace_seconds: float = 8.0
    resend_seconds: float = 2.0
    block_ms: int = 250
    metrics: WorkerMetrics | None = None
    new_id: Callable[[], str] = new_id

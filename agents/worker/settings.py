"""The settings of a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agents.sdk.registry import AgentTable
from agents.worker.metrics import WorkerMetrics
from contracts.base.identifiers import new_id
from contracts.messages.channels import Channels
from contracts.runtime.handler import ConsumerSettings
from contracts.runtime.reading import Source
from contracts.runtime.resend import ResendPolicy

_MAX_GRACE_SECONDS: Final = 8.0
_CANCEL_SECONDS: Final = 0.5
_FAREWELL_SECONDS: Final = 0.7
_RESEND_GROWTH_CAP: Final = 15


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of one worker; times in seconds unless the name says otherwise."""

    worker_id: str
    """Unique for the life of the process, so that nobody's pending entries are mistaken for its own."""

    host: str
    roles: tuple[str, ...] = ()
    """The roles to serve out of those that have an agent; () serves all."""

    slots: int = 2
    """Executions at once."""

    heartbeat_seconds: float = 2.0
    lease_seconds: float = 6.0
    """The silence after which what it holds goes to others; a request that is older may be out of date."""

    grace_seconds: float = 8.0
    """How long running executions may go on after `stop`; at most 8, so that all is over in 10."""

    resend_seconds: float = 2.0
    """When an outcome is sent again; the wait doubles up to 15 times that."""

    block_ms: int = 250
    metrics: WorkerMetrics | None = None
    """Shared by the workers of a process; None counts nothing."""

    new_id: Callable[[], str] = new_id

    def consumer(self, name: str, table: AgentTable, clock: Callable[[], float]) -> ConsumerSettings:
        """The settings of the worker's consumer, for the agents of `table`."""
        return ConsumerSettings(
            name=name,
            source=Source(
                Channels.WORKERS_GROUP, self.worker_id, table.streams, table.suspects, self.block_ms
            ),
            channels=[Channels.control(self.worker_id)],
            slots=self.slots,
            acks_late=True,
            resend=ResendPolicy(self.resend_seconds, self.resend_seconds * _RESEND_GROWTH_CAP),
            heartbeat_seconds=self.heartbeat_seconds,
            grace_seconds=min(self.grace_seconds, _MAX_GRACE_SECONDS),
            cancel_seconds=_CANCEL_SECONDS,
            farewell_seconds=_FAREWELL_SECONDS,
            clock=clock,
            new_id=self.new_id,
            doubt_seconds=self.lease_seconds,
            failpoints="worker",
        )

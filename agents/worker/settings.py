"""The settings of a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agents.sdk.registry import AgentTable
from agents.worker.board import Board
from agents.worker.lanes import Lane, Reading
from contracts.base.identifiers import new_id
from contracts.base.secrets.patterns import without_secret_patterns
from contracts.messages.channels import Channels
from contracts.runtime.handler import ConsumerSettings
from contracts.runtime.reading import Source
from contracts.runtime.resend import ResendPolicy

if TYPE_CHECKING:
    from agents.worker.metrics import WorkerMetrics

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

    lane: Lane = Lane.ALL
    keeper_id: str | None = None
    """The keeper whose slot process this is: it sends the heartbeats, but for the first."""

    board: Board | None = None
    """Where the keeper sees what this worker holds."""

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
    redact: Callable[[str], str] = without_secret_patterns
    """Removes secrets from why an attempt failed, which is stored, logged and shown."""

    def reading(self, table: AgentTable) -> Reading:
        """What it reads of all that arrives for the agents of `table`."""
        return Reading.of(table, self.lane)

    def consumer(self, name: str, reading: Reading, clock: Callable[[], float]) -> ConsumerSettings:
        """The settings of the worker's consumer."""
        alone = self.lane.one_at_a_time
        return ConsumerSettings(
            name=name,
            source=Source(
                Channels.WORKERS_GROUP,
                self.worker_id,
                reading.streams,
                reading.suspects,
                block_ms=self.block_ms,
                in_turn=alone,
            ),
            channels=[Channels.control(self.worker_id)],
            slots=1 if alone else self.slots,
            returns_excess=alone,
            acks_late=True,
            resend=ResendPolicy(self.resend_seconds, self.resend_seconds * _RESEND_GROWTH_CAP),
            heartbeat_seconds=None if self.keeper_id else self.heartbeat_seconds,
            grace_seconds=min(self.grace_seconds, _MAX_GRACE_SECONDS),
            cancel_seconds=_CANCEL_SECONDS,
            farewell_seconds=_FAREWELL_SECONDS,
            clock=clock,
            new_id=self.new_id,
            doubt_seconds=self.lease_seconds,
            failpoints="worker",
        )

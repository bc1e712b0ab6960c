"""What can arrive in an owner's inbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from contracts.messages.events import Heartbeat, WorkerLeft
from contracts.ports.bus import Delivery
from orchestrator.core.events import Merged, MergeFailed
from orchestrator.scheduling.batch import Command


class MergeDone(NamedTuple):
    """The keeper has merged a workflow's outcome, or could not."""

    workflow_id: str
    event: Merged | MergeFailed


@dataclass(frozen=True, slots=True)
class BusAway:
    """The bus cannot be reached; heartbeats are not heard."""


@dataclass(frozen=True, slots=True)
class BusReset:
    """The bus may have lost everything."""


@dataclass(frozen=True, slots=True)
class Drained:
    """All outcomes that had been published when `ticket` was asked for have arrived before this."""

    ticket: int


InboxMessage = Delivery | Heartbeat | WorkerLeft | Command | MergeDone | BusAway | BusReset | Drained

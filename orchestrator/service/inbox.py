"""The messages that can arrive in the orchestrator's inbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from contracts.messages.journal import WorkflowOffered
from contracts.messages.payloads import Heartbeat, WorkerLeft
from contracts.ports.bus import Delivery
from orchestrator.core.events import Merged, MergeFailed
from orchestrator.scheduling.batch import Command


class MergeDone(NamedTuple):
    """The Git publisher has merged a workflow's commits, or could not."""

    workflow_id: str
    event: Merged | MergeFailed


class OfferMade(NamedTuple):
    """The work of a failed workflow was put on a branch."""

    workflow_id: str
    entry: WorkflowOffered


@dataclass(frozen=True, slots=True)
class BusAway:
    """The bus is unavailable; heartbeats do not arrive."""


@dataclass(frozen=True, slots=True)
class BusReset:
    """The bus is another one, or may have lost everything."""


@dataclass(frozen=True, slots=True)
class Drained:
    """Answers a ticket: every outcome that was published before it was issued is already in the inbox."""

    ticket: int
    """See DrainGate."""


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Nothing but the end of a wait: the orchestrator stops."""


InboxMessage = (
    Delivery
    | Heartbeat
    | WorkerLeft
    | Command
    | MergeDone
    | OfferMade
    | BusAway
    | BusReset
    | Drained
    | StopAsked
)


class Arrivals(Protocol):
    """Where they wait for the term, as asyncio.Queue has it."""

    async def put(self, item: InboxMessage, /) -> None: ...

"""Outcomes that somebody makes up who can write to the streams, and which of them must be refused."""

from __future__ import annotations

from contracts.messages.channels import Channels
from contracts.messages.payloads import TaskOutcome
from contracts.ports.bus import Outgoing
from orchestrator.scheduling.leases import Leases
from tests.simulation.parcels import Event, builder, wrap

STRANGER = "stranger"
_FORGED = "forged-"
_build_outcome = builder(TaskOutcome)


def forged(request: Event, worker: str, number: int) -> Outgoing:
    """A success of a dispatch that was read off a stream, in the name of this worker."""
    outcome = _build_outcome(
        dispatch_id=request.id,
        execution_id=f"{_FORGED}{number}",
        worker_id=worker,
        status="succeeded",
        commit=f"{number:040x}",
    )
    event = Event(outcome.execution_id, request.workflowid, request.taskid, outcome)
    return Outgoing(Channels.results(0), wrap(event))


def is_forged(outcome: TaskOutcome) -> bool:
    return outcome.execution_id.startswith(_FORGED)


def must_be_refused(outcome: TaskOutcome, leases: Leases, copied: set[str], now: float) -> bool:
    """Whether what was heard proves that it is forged."""
    name, dispatch = outcome.worker_id, outcome.dispatch_id
    if name == STRANGER:
        return leases.listens_for_a_lease(now)
    listing = [
        one
        for one, view in leases.workers.items()
        if any(held.dispatch_id == dispatch for held in view.heartbeat.executions)
    ]
    never = not leases.holdings.was_listed_by(dispatch, name)
    return bool(listing) and name not in listing and never and dispatch not in copied

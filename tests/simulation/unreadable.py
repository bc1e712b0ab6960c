"""Messages that a worker cannot read: it puts them aside, and their owner is told."""

from __future__ import annotations

from contracts.base.errors import BusUnavailable
from contracts.messages.channels import Channels
from contracts.messages.payloads import DeadLetteredMessage, TaskError, TaskOutcome
from contracts.ports.bus import Delivery, Outgoing
from orchestrator.scheduling.messages import result_stream
from tests.simulation.choices import Choices
from tests.simulation.parcels import Event, Parcel, builder, unwrap, wrap

LIKELY = 0.05
"""How often a worker cannot read what others can."""

UNTOLD = 0.6
"""How often the bus is away when the owner wants to tell a task of it: outages are too short to meet it."""

_LETTER = "letter-"
_build_letter = builder(DeadLetteredMessage)
_build_outcome = builder(TaskOutcome)


class Unpacked:
    """Stands for base64, since parcels are carried as they are."""

    @staticmethod
    def b64decode(parcel: Parcel) -> Parcel:
        return parcel


def letter(delivery: Delivery, worker: str, number: int) -> Outgoing:
    """What a worker says of a message that it cannot read."""
    data = _build_letter(stream=delivery.stream, reason="garbled", raw_base64=delivery.payload)
    return Outgoing(Channels.DEAD_LETTERS, wrap(Event(f"{_LETTER}{worker}-{number}", None, None, data)))


def is_letter(message_id: str | None) -> bool:
    """Whether this names what a worker said."""
    return message_id is not None and message_id.startswith(_LETTER)


def meet_an_outage(choices: Choices) -> None:
    """Before the outcome of an unreadable dispatch is published."""
    if choices.fault(UNTOLD):
        raise BusUnavailable("not told")


def refusal_parcel(request: Event, reason: str, now: float) -> Outgoing:
    """The outcome of a dispatch that could not be read."""
    assert request.workflowid is not None
    outcome = _build_outcome(
        dispatch_id=request.id,
        execution_id=request.id,
        worker_id="none",
        status="failed",
        error=TaskError(code="refused_by_worker", message=reason),
    )
    event = Event(f"refused-{request.id}", request.workflowid, request.taskid, outcome)
    return Outgoing(result_stream(request.workflowid), wrap(event))


def read_from(letter: Delivery) -> Event:
    """The dispatch that a letter is about."""
    return unwrap(unwrap(letter.payload).data.raw_base64)

"""Messages as objects: what encode and decode would do to them is tested elsewhere, and costs most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from contracts.messages.channels import Channels
from contracts.messages.payloads import Control
from contracts.messages.suspension import Answered
from contracts.ports.bus import Outgoing
from orchestrator.core.state import Header, TaskState
from orchestrator.scheduling.messages import request_stream

Model = TypeVar("Model", bound=BaseModel)
WALL = 1e9
"""How far the wall clock is ahead of the clock of the schedule."""


def builder(model: type[Model]) -> Callable[..., Model]:
    """What `model_construct` does, for all fields or those without a default: several times as fast."""
    defaults = {name: one.default for name, one in model.model_fields.items() if not one.is_required()}
    known = set(model.model_fields)

    def build(**values: Any) -> Model:
        built = model.__new__(model)
        object.__setattr__(built, "__dict__", defaults | values)
        object.__setattr__(built, "__pydantic_fields_set__", known)
        object.__setattr__(built, "__pydantic_extra__", None)
        object.__setattr__(built, "__pydantic_private__", None)
        return built

    return build


class Event(NamedTuple):
    """What the owner reads of a TaskEvent."""

    id: str
    workflowid: str | None
    taskid: str | None
    data: Any
    type: str = "simulated"
    at: float = 0.0
    """When a dispatch was decided, by the clock of the schedule."""
    answers: tuple[Answered, ...] = ()
    """With which a dispatch goes on."""
    allowance: int | None = None
    """What it may spend, in millionths of a dollar."""
    earlier: tuple[str, ...] = ()
    """Dispatches of which it is not known what they spent."""


class Parcel(bytes):
    """A payload that carries its event."""

    event: Event


def wrap(event: Event) -> Parcel:
    parcel = Parcel()
    parcel.event = event
    return parcel


def unwrap(payload: bytes) -> Event:
    assert isinstance(payload, Parcel)
    return payload.event


def request_parcel(header: Header, task: TaskState) -> Outgoing:
    assert task.dispatch_id is not None
    event = Event(
        task.dispatch_id,
        header.workflow_id,
        task.task_id,
        task.item,
        at=task.dispatched_at - WALL,
        answers=task.answers,
        allowance=task.allowance.micro_usd if task.allowance else None,
        earlier=tuple(name for name, _ in task.unknown),
    )
    return Outgoing(request_stream(task), wrap(event))


def control_parcel(worker_id: str, control: Control, *, message_id: str, now: float) -> Outgoing:
    return Outgoing(Channels.control(worker_id), wrap(Event(message_id, None, None, control)))


def notice_parcel(header: Header, *, message_id: str, now: float) -> Outgoing:
    return Outgoing(Channels.WORKFLOW_EVENTS, wrap(Event(message_id, None, None, None)))

"""Messages between processes: CloudEvents 1.0 envelopes with typed data.

The envelope follows the JSON event format of CloudEvents 1.0.2. Extension attributes are lower-case letters,
as the specification demands: correlationid, causationid, workflowid, taskid, attempt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Generic, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_core import from_json, to_json

from contracts.base.errors import DecodeError, InvalidInput
from contracts.base.model import Identifier, Model, ShortText
from contracts.base.strict_json import has_more_parts, validate
from contracts.base.timestamps import Timestamp
from contracts.messages.creation import dispatch_data, envelope
from contracts.messages.payloads import (
    CommandNotice,
    Control,
    DeadLetteredMessage,
    Heartbeat,
    TaskOutcome,
    TaskRequest,
    WorkerLeft,
    WorkflowNotice,
)
from contracts.messages.sandbox import SandboxControl, SandboxHost, SandboxOrder, SandboxOutcome
from contracts.messages.steps import StepTaken
from contracts.messages.workspaces import WorkspaceAnswer, WorkspaceOrder

MAX_MESSAGE_BYTES: Final = 4_000_000
BYTES_PER_PART: Final = 80
"""A message has at most one string, comma or opening bracket for so many bytes of the limit of its size.

No message of ours comes near, and what costs time to check is these.
"""


class EventType(StrEnum):
    """Every type of message; EVENT_DATA says what each carries."""

    TASK_DISPATCHED = "multiagent.task.dispatched"
    TASK_FINISHED = "multiagent.task.finished"
    WORKER_HEARTBEAT = "multiagent.worker.heartbeat"
    WORKER_LEFT = "multiagent.worker.left"
    WORKER_CONTROL = "multiagent.worker.control"
    MESSAGE_DEAD_LETTERED = "multiagent.message.dead_lettered"
    WORKFLOW_CHANGED = "multiagent.workflow.changed"
    COMMAND_ADDED = "multiagent.command.added"
    STEP_TAKEN = "multiagent.step.taken"
    SANDBOX_REQUESTED = "multiagent.sandbox.requested"
    SANDBOX_FINISHED = "multiagent.sandbox.finished"
    SANDBOX_HEARTBEAT = "multiagent.sandbox.heartbeat"
    SANDBOX_CONTROL = "multiagent.sandbox.control"
    WORKSPACE_ASKED = "multiagent.workspace.asked"
    WORKSPACE_ANSWERED = "multiagent.workspace.answered"


D_co = TypeVar("D_co", bound=Model, covariant=True)


class TaskEvent(Model, Generic[D_co]):
    """The envelope of a message. All events of a workflow share one `correlationid`."""

    specversion: Literal["1.0"] = "1.0"
    id: Identifier
    source: ShortText
    type: EventType
    subject: ShortText | None = None
    time: Timestamp
    """RFC 3339, UTC."""
    datacontenttype: Literal["application/json"] = "application/json"
    correlationid: Identifier | None = None
    causationid: Identifier | None = None
    workflowid: Identifier | None = None
    taskid: Identifier | None = None
    attempt: int | None = Field(default=None, ge=1)
    data: D_co

    @classmethod
    def create(
        cls,
        *,
        event_type: EventType,
        data: Model | Mapping[str, Any],
        source: str,
        correlation_id: str | None = None,
        workflow_id: str | None = None,
        task_id: str | None = None,
    ) -> TaskEvent[Any]:
        """An event of now, with an id of its own. Raises InvalidDocument, which names every fault.

        data: what EVENT_DATA names for the type, or a mapping of its fields. For TASK_DISPATCHED the ids, the
        attempt and the time are filled in where absent, and a TodoItem or its fields alone are the item.
        """
        if (known := _ENVELOPES.get(event_type)) is None:
            raise InvalidInput(f"event_type {event_type!r} is none of {', '.join(EventType.__members__)}")
        whole = dispatch_data(data) if event_type == EventType.TASK_DISPATCHED else data
        raw = envelope(event_type, whole, source, correlation_id, workflow_id, task_id)
        return validate(known, raw, "event")


EVENT_DATA: dict[EventType, type[Model]] = {
    EventType.TASK_DISPATCHED: TaskRequest,
    EventType.TASK_FINISHED: TaskOutcome,
    EventType.WORKER_HEARTBEAT: Heartbeat,
    EventType.WORKER_LEFT: WorkerLeft,
    EventType.WORKER_CONTROL: Control,
    EventType.MESSAGE_DEAD_LETTERED: DeadLetteredMessage,
    EventType.WORKFLOW_CHANGED: WorkflowNotice,
    EventType.COMMAND_ADDED: CommandNotice,
    EventType.STEP_TAKEN: StepTaken,
    EventType.SANDBOX_REQUESTED: SandboxOrder,
    EventType.SANDBOX_FINISHED: SandboxOutcome,
    EventType.SANDBOX_HEARTBEAT: SandboxHost,
    EventType.SANDBOX_CONTROL: SandboxControl,
    EventType.WORKSPACE_ASKED: WorkspaceOrder,
    EventType.WORKSPACE_ANSWERED: WorkspaceAnswer,
}

_ENVELOPES: dict[str, type[TaskEvent[Any]]] = {
    kind.value: TaskEvent[data]  # type: ignore[valid-type]  # parametrised from the registry above
    for kind, data in EVENT_DATA.items()
}


def encode(event: TaskEvent[Any]) -> bytes:
    """Write the event as UTF-8 JSON; absent attributes are left out, as CloudEvents demands."""
    return event.__pydantic_serializer__.to_json(event, exclude_none=True)


def encode_checked(kind: EventType, data: Model | dict[str, Any], **attributes: Any) -> bytes:
    """Write what `encode` would write for a TaskEvent of these values, without building one.

    For data that is valid already: the model of an event would check it again.
    """
    envelope = {"specversion": "1.0", "type": kind.value, "datacontenttype": "application/json"}
    present = {name: value for name, value in attributes.items() if value is not None}
    return to_json({**envelope, **present, "data": data}, exclude_none=True)


_TYPE: Final = re.compile(rb'"type":"([a-z._]+)"')


def _read_at_once(raw: bytes) -> TaskEvent[Any] | None:
    """Read the event as the type found in its first bytes; None proves nothing, not even an error."""
    seen = _TYPE.search(raw, 0, 500)
    model = _ENVELOPES.get(seen[1].decode()) if seen else None
    try:
        event = model.__pydantic_validator__.validate_json(raw) if model else None
    except ValidationError:
        return None
    return event if event is not None and _ENVELOPES[event.type.value] is model else None


def decode(raw: bytes, *, max_bytes: int = MAX_MESSAGE_BYTES) -> TaskEvent[Any]:
    """Read an event of any known type. Raises DecodeError, which keeps the bytes, for anything else."""
    if len(raw) > max_bytes:
        raise DecodeError(f"message has {len(raw)} bytes, the limit is {max_bytes}", raw)
    if has_more_parts(raw, max_bytes // BYTES_PER_PART):
        raise DecodeError(f"message has more than {max_bytes // BYTES_PER_PART} names and values", raw)
    if event := _read_at_once(raw):
        return event
    try:
        document = from_json(raw, allow_inf_nan=False)
        return _ENVELOPES[document["type"]].model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DecodeError(f"message does not fit its schema at {where}: {first['msg']}", raw) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DecodeError(f"message is no event of ours: {type(error).__name__}: {error}", raw) from None

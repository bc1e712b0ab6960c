"""The events a worker reads and sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from contracts.base.errors import DecodeError
from contracts.base.timestamps import rfc3339
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, decode, encode, encode_checked
from contracts.messages.payloads import Heartbeat, TaskOutcome, TaskRequest, WorkerLeft
from contracts.messages.steps import StepTaken
from contracts.ports.bus import Outgoing

# Looked up once: a model class finds its parametrised form by a search.
_HEARTBEAT = TaskEvent[Heartbeat]


def decode_request(payload: bytes) -> TaskEvent[TaskRequest]:
    """The request. Raises DecodeError for anything else."""
    event = decode(payload)
    if event.type is not EventType.TASK_DISPATCHED:
        raise DecodeError(f"a request was expected, not {event.type}", payload)
    if not event.workflowid or event.taskid != event.data.item.task_id:
        raise DecodeError("the request does not say its workflow and task", payload)
    return event


class Origin(NamedTuple):
    """What the outcome of a request repeats of it."""

    reply_to: str
    event_id: str
    subject: str | None
    correlation_id: str | None
    workflow_id: str | None
    task_id: str | None
    attempt: int | None

    @classmethod
    def of(cls, event: TaskEvent[TaskRequest]) -> Origin:
        """The origin of outcomes of this request."""
        return cls(
            event.data.reply_to,
            event.id,
            event.subject,
            event.correlationid,
            event.workflowid,
            event.taskid,
            event.attempt,
        )


@dataclass(frozen=True, slots=True)
class WorkerMessages:
    """Wraps what one worker says into events."""

    worker_id: str
    clock: Callable[[], float]
    """Seconds since 1970."""

    new_id: Callable[[], str]

    @property
    def source(self) -> str:
        """What the events have as their source."""
        return f"worker/{self.worker_id}"

    def outcome(self, origin: Origin, outcome: TaskOutcome) -> Outgoing:
        """For the stream that the request names."""
        payload = encode_checked(
            EventType.TASK_FINISHED,
            outcome,
            id=self.new_id(),
            source=self.source,
            subject=origin.subject,
            time=self._time(),
            correlationid=origin.correlation_id,
            causationid=origin.event_id,
            workflowid=origin.workflow_id,
            taskid=origin.task_id,
            attempt=origin.attempt,
        )
        return Outgoing(origin.reply_to, payload)

    def heartbeat(self, heartbeat: Heartbeat) -> Outgoing:
        """For every orchestrator."""
        event = _HEARTBEAT(
            id=self.new_id(),
            source=self.source,
            type=EventType.WORKER_HEARTBEAT,
            subject=self.worker_id,
            time=self._time(),
            data=heartbeat,
        )
        return Outgoing(Channels.HEARTBEATS, encode(event))

    def left(
        self,
        handed_back: tuple[str, ...] = (),
        *,
        reason: Literal["stopped", "died"] = "stopped",
        logs: str | None = None,
    ) -> Outgoing:
        """For every orchestrator; `handed_back` are dispatch ids."""
        event = TaskEvent[WorkerLeft](
            id=self.new_id(),
            source=self.source,
            type=EventType.WORKER_LEFT,
            subject=self.worker_id,
            time=self._time(),
            data=WorkerLeft(worker_id=self.worker_id, reason=reason, handed_back=handed_back, logs=logs),
        )
        return Outgoing(Channels.HEARTBEATS, encode(event))

    def step(self, event: TaskEvent[TaskRequest], taken: StepTaken) -> Outgoing:
        """For whoever looks on."""
        told = TaskEvent[StepTaken](
            id=self.new_id(),
            source=self.source,
            type=EventType.STEP_TAKEN,
            subject=event.subject,
            time=self._time(),
            correlationid=event.correlationid,
            causationid=event.id,
            workflowid=event.workflowid,
            taskid=event.taskid,
            attempt=event.attempt,
            data=taken,
        )
        return Outgoing(Channels.steps(event.workflowid or ""), encode(told))

    def _time(self) -> str:
        return rfc3339(self.clock())

"""The events a worker sends."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agents.worker.failures import bounded
from contracts.base.timestamps import rfc3339
from contracts.messages.channels import Channels
from contracts.messages.events import (
    DeadMessage,
    EventType,
    Heartbeat,
    TaskEvent,
    TaskOutcome,
    TaskRequest,
    WorkerLeft,
    encode,
    encode_checked,
)
from contracts.ports.bus import Delivery, Outgoing

# Looked up once: a model class finds its parametrised form by a search.
_HEARTBEAT = TaskEvent[Heartbeat]

MAX_KEPT_BYTES: Final = 2_000_000
"""Of a dead message: in base64 and in its envelope it must stay below events.MAX_MESSAGE_BYTES."""


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Wraps data into events. `clock` gives seconds since 1970, `new_id` a fresh identifier."""

    worker_id: str
    clock: Callable[[], float]
    new_id: Callable[[], str]

    def outcome(self, cause: TaskEvent[TaskRequest], outcome: TaskOutcome) -> Outgoing:
        payload = encode_checked(
            EventType.TASK_FINISHED,
            outcome,
            id=self.new_id(),
            source=self._source,
            subject=cause.subject,
            time=self._time(),
            correlationid=cause.correlationid,
            causationid=cause.id,
            traceparent=cause.traceparent,
            workflowid=cause.workflowid,
            taskid=cause.taskid,
            attempt=cause.attempt,
        )
        return Outgoing(cause.data.reply_to, payload)

    def heartbeat(self, heartbeat: Heartbeat) -> Outgoing:
        event = _HEARTBEAT(
            id=self.new_id(),
            source=self._source,
            type=EventType.WORKER_HEARTBEAT,
            subject=self.worker_id,
            time=self._time(),
            data=heartbeat,
        )
        return Outgoing(Channels.HEARTBEATS, encode(event))

    def left(self, handed_back: tuple[str, ...]) -> Outgoing:
        event = TaskEvent[WorkerLeft](
            id=self.new_id(),
            source=self._source,
            type=EventType.WORKER_LEFT,
            subject=self.worker_id,
            time=self._time(),
            data=WorkerLeft(worker_id=self.worker_id, reason="stopped", handed_back=handed_back),
        )
        return Outgoing(Channels.HEARTBEATS, encode(event))

    def dead(self, delivery: Delivery, reason: str) -> Outgoing:
        kept = delivery.payload[:MAX_KEPT_BYTES]
        if len(kept) < len(delivery.payload):
            reason = f"{reason[:9_000]} (the first {len(kept)} of {len(delivery.payload)} bytes are kept)"
        event = TaskEvent[DeadMessage](
            id=self.new_id(),
            source=self._source,
            type=EventType.MESSAGE_DEAD,
            subject=delivery.stream,
            time=self._time(),
            data=DeadMessage(
                stream=delivery.stream,
                reason=bounded(reason),
                raw_base64=base64.b64encode(kept).decode(),
            ),
        )
        return Outgoing(Channels.DEAD_LETTERS, encode(event))

    @property
    def _source(self) -> str:
        return f"worker/{self.worker_id}"

    def _time(self) -> str:
        return rfc3339(self.clock())

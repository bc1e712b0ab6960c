"""Deliveries that nobody can understand, as messages for the dead-letter stream (I7)."""

from __future__ import annotations

import base64
from typing import Final

from contracts.base.text import bounded
from contracts.messages.channels import Channels
from contracts.messages.events import EventType, TaskEvent, encode
from contracts.messages.payloads import DeadLetteredMessage
from contracts.ports.bus import Delivery, Outgoing

MAX_KEPT_BYTES: Final = 2_000_000
"""Of a dead message: in base64 and in its envelope it must stay below events.MAX_MESSAGE_BYTES."""


def dead_letter(delivery: Delivery, reason: str, *, event_id: str, source: str, time: str) -> Outgoing:
    """The dead letter for a delivery, with the reason and the raw bytes. `time` is RFC 3339, UTC."""
    kept = delivery.payload[:MAX_KEPT_BYTES]
    if len(kept) < len(delivery.payload):
        reason = f"{reason[:9_000]} (the first {len(kept)} of {len(delivery.payload)} bytes are kept)"
    event = TaskEvent[DeadLetteredMessage](
        id=event_id,
        source=source,
        type=EventType.MESSAGE_DEAD_LETTERED,
        subject=delivery.stream,
        time=time,
        data=DeadLetteredMessage(
            stream=delivery.stream,
            reason=bounded(reason),
            raw_base64=base64.b64encode(kept).decode(),
        ),
    )
    return Outgoing(Channels.DEAD_LETTERS, encode(event))

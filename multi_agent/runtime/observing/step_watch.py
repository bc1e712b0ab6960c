"""The steps of a workflow's agents as they are taken, for whoever looks on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from contracts.base.errors import BusUnavailable, DecodeError
from contracts.base.secrets.redaction import Redactor
from contracts.messages.channels import Channels
from contracts.messages.events import TaskEvent, decode
from contracts.messages.steps import StepTaken
from contracts.ports.bus import SubscribePort


@asynccontextmanager
async def steps_told(
    bus: SubscribePort, workflow_id: str, redact: Redactor, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """While the `with` body runs, say each call of each step. What is said while Redis is away is lost."""
    subscription = bus.subscribe([Channels.steps(workflow_id)])

    async def listen() -> None:
        async for _channel, payload in subscription:
            with suppress(DecodeError):
                for line in step_lines(decode(payload)):
                    say(redact(line))

    listening = asyncio.create_task(listen())
    try:
        yield
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError, BusUnavailable):
            await listening
        await subscription.close()


def step_lines(event: TaskEvent[Any]) -> Iterator[str]:
    """One line a call."""
    taken = event.data
    if not isinstance(taken, StepTaken):
        return
    start = f"{event.taskid} ({taken.role}) step {taken.number} of {taken.most}:"
    for call in taken.calls:
        about = f" {call.target}" if call.target else ""
        yield f"{start} {call.tool or 'call'}{about}, {'refused' if call.refused else 'ok'}"
    if not taken.calls:
        yield f"{start} {taken.note or 'no call'}"

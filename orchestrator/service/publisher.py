"""Publishes what follows a commit: dispatches, and hints to workers and subscribers. All may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from contracts.base.errors import BusUnavailable
from contracts.base.failpoints import failpoint
from contracts.messages.channels import Channels
from contracts.messages.payloads import Control
from contracts.ports.bus import ConsumePort, Done, Outgoing, PublishPort
from orchestrator.scheduling.engine import Engine
from orchestrator.scheduling.messages import control_message, request_message, workflow_notice

CHUNK = 500


class DispatchBus(PublishPort, ConsumePort, Protocol):
    """Takes dispatches, in streams whose groups can be created."""


class Publisher:
    """Publishes dispatches until the bus has accepted them, and hints once."""

    def __init__(
        self,
        bus: DispatchBus,
        engine: Engine,
        new_id: Callable[[], str],
        now: Callable[[], float],
        doubtful: Callable[[Iterable[str]], None],
    ) -> None:
        """`doubtful` hears of dispatches whose publication failed and may have been done all the same."""
        self._bus = bus
        self._engine = engine
        self._new_id = new_id
        self._now = now
        self._doubtful = doubtful
        self._groups: set[str] = set()
        self._waiting: dict[str, None] = {}
        self.delivered: list[str] = []

    async def send(self, messages: list[Outgoing]) -> None:
        """Publish messages to other orchestrators. Raises BusUnavailable."""
        await self._bus.publish(messages)

    async def publish(self, dispatch_ids: Iterable[str], hints: Sequence[Outgoing], done: Done) -> bool:
        """Acknowledge `done`, publish these dispatches and those that wait, then `hints`.

        Usually takes one round trip. Published ids go to `delivered`; the next transaction deletes them
        from the outbox. False when the bus is unavailable: `done` may not be acknowledged, and the dispatches
        wait for the next call.
        """
        self._waiting.update(dict.fromkeys(dispatch_ids))
        while self._waiting or hints or done.deliveries:
            chunk = list(self._waiting)[:CHUNK]
            messages = [message for name in chunk if (message := self._message(name)) is not None]
            try:
                await self.ensure_groups({message.stream for message in messages})
                failpoint("orchestrator.before_dispatch")
                await self._bus.publish(messages, hints=hints, done=done)
                failpoint("orchestrator.after_dispatch")
            except BusUnavailable:
                self._doubtful(chunk)
                return False
            for name in chunk:
                del self._waiting[name]
            self.delivered += chunk
            hints, done = (), Done(done.group, ())
        return True

    def drain_delivered(self) -> list[str]:
        """Return the ids in `delivered`, and empty it."""
        delivered = self.delivered[:]
        self.delivered.clear()
        return delivered

    async def ensure_groups(self, streams: Iterable[str]) -> None:
        """Create the workers' group on these request streams, unless that was done since the last reset."""
        for stream in streams:
            if stream not in self._groups:
                await self._bus.ensure_group(stream, Channels.WORKERS_GROUP)
                self._groups.add(stream)

    def forget_groups(self) -> None:
        """Create all groups again: the bus may have lost them."""
        self._groups.clear()

    def hint_messages(
        self,
        acknowledged: dict[str, list[str]],
        recalled: dict[str, list[str]],
        confirmed: dict[str, list[str]],
        changed: Iterable[str],
    ) -> list[Outgoing]:
        """Hints to workers and subscribers; losing one does no harm."""
        now = self._now()
        messages: list[Outgoing] = []
        said = [
            (
                name,
                Control(
                    acknowledged=tuple(acknowledged.get(name, ())), recalled=tuple(recalled.get(name, ()))
                ),
            )
            for name in {**acknowledged, **recalled}
        ]
        # On their own: a worker of the first release refuses a message with this field.
        said += [(name, Control(confirmed=tuple(names))) for name, names in confirmed.items()]
        for worker_id, control in said:
            messages.append(control_message(worker_id, control, message_id=self._new_id(), now=now))
        for workflow_id in changed:
            workflow = self._engine.workflows.get(workflow_id)
            if workflow is not None:
                messages.append(workflow_notice(workflow.header, message_id=self._new_id(), now=now))
        return messages

    def _message(self, dispatch_id: str) -> Outgoing | None:
        place = self._engine.in_flight.get(dispatch_id)
        if place is None:
            return None
        workflow = self._engine.workflows[place[0]]
        return request_message(workflow.header, workflow.tasks[place[1]])
